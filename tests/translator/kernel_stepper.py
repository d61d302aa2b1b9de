"""The kernels' model as a `Stepper`, so that the search that is there to be read can search over it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tests.translator.kernel_calls import attend, best, lstm, multiply, origins
from translator import kernels
from translator.kernel_model import KernelModel
from translator.stepper import StepOutput


class KernelStepper:
    """A step in the calls that the search by the kernels makes of it, and everything kept a sentence at a time."""

    def __init__(self, model: KernelModel) -> None:
        self.model, self.beam_size = model, 1
        self.allowed = torch.ones(model.output.out, dtype=torch.bool)
        self.sentences: list[tuple[Tensor, Tensor]] = []  # keys [S, D] and values [S, heads * M]
        self.hidden = self.cell = torch.zeros(model.layers, 0, model.width)

    def forbid(self, token_ids: Sequence[int]) -> None:
        self.allowed[list(token_ids)] = False

    def admit(self, sources: Sequence[Sequence[int]], beam_size: int) -> None:
        self.beam_size = beam_size
        keys, values, hidden, cell = map(torch.from_numpy, self.model.read(sources))
        for row, source in enumerate(sources):
            self.sentences.append((keys[row, : len(source)], values[row, : len(source)].view(torch.bfloat16)))
        self.hidden, self.cell = torch.cat([self.hidden, hidden], dim=1), torch.cat([self.cell, cell], dim=1)

    def step(self, token_ids: Tensor, places: Tensor, spare: int = 0) -> StepOutput:
        readout, weights, states = self._take(token_ids, places)
        wanted = min(self.beam_size + 1 + spare, int(self.allowed.sum()))
        log_probs, columns = best(self.model.output, readout, allowed=self.allowed, wanted=wanted)
        return StepOutput(log_probs, weights, states, columns)

    def step_in_full(self, token_ids: Tensor, places: Tensor) -> StepOutput:
        readout, weights, states = self._take(token_ids, places)
        return StepOutput(multiply(self.model.output, readout).log_softmax(dim=1), weights, states)

    def explain(self, sentences: Tensor, token_ids: Tensor, attention_weights: Tensor, states: Tensor) -> Tensor:
        _, values, padding = self._memory()
        width, length = self.model.readout.out, attention_weights.shape[2]
        parts = values.unflatten(2, (self.model.heads, -1))[..., -width:].float().sum(dim=2)  # [B, S, E]
        table = torch.from_numpy(self.model.embeddings).view(torch.bfloat16)
        written = table[token_ids].float() / self.model.embedding_scale
        logits = origins(states.float(), parts[sentences, :length], written)
        scores = attention_weights.clamp(min=1e-6).log() + logits
        return scores.masked_fill(padding[sentences, None, :length], -torch.inf).softmax(dim=2)

    def reorder(self, rows: Tensor) -> None:
        self.hidden, self.cell = self.hidden[:, rows], self.cell[:, rows]

    def keep(self, sentences: Tensor) -> None:
        self.sentences = [self.sentences[place] for place in sentences.tolist()]
        if not self.sentences:
            self.reorder(sentences)

    def _memory(self) -> tuple[Tensor, Tensor, Tensor]:
        keys, values = zip(*self.sentences, strict=True)
        lengths = torch.tensor([len(part) for part in keys])
        padding = torch.arange(int(lengths.max())) >= lengths[:, None]
        together = [nn.utils.rnn.pad_sequence(list(parts), batch_first=True) for parts in (keys, values)]
        return together[0], together[1], padding

    def _take(self, token_ids: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        model, hidden, cell = self.model, self.hidden, self.cell
        table = torch.from_numpy(model.first_gates).view(torch.bfloat16), token_ids
        layers = [lstm(model.first, cell[0], hidden[0], table=table)]
        outputs = layers[0][0]
        queries = multiply(model.query, outputs)
        context, weights = attend(queries, places, *self._memory(), beam_size=self.beam_size, heads=model.heads)
        for depth, product in enumerate(model.later, start=1):
            more = context[:, (depth - 1) * 4 * model.width :][:, : 4 * model.width]
            layers.append(lstm(product, cell[depth], outputs, hidden[depth], more=more))
            outputs = outputs + layers[-1][0]
        self.hidden, self.cell = (torch.stack(list(part)) for part in zip(*layers, strict=True))
        states = multiply(model.readout, outputs)
        readout = kernels.tanh((states + context[:, -model.readout.out :]).numpy())
        return torch.from_numpy(readout), weights, states
