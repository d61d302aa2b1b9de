"""The last layer of the engine: from a readout to the log-probabilities of what may come next.

Without a shortlist that is one product with the whole embedding table. With one, the few hundred embeddings that a
sentence may need are gathered when it is admitted, and a step multiplies with these alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from translator.compute_type import ComputeType
from translator.products import make_product
from translator.shortlist import Shortlist

COLUMN_STEP = 64  # oneDNN makes a kernel for each number of columns


class Choice(NamedTuple):
    """What sentences choose from, a row a sentence. The columns C are as many as the one with most pieces needs.

    Args:
        embeddings: [B, C, E], in bfloat16 unless all is computed in float32.
        bias: [B, C], -inf where a sentence has fewer pieces.
        token_ids: [B, C] int64, what the columns stand for.
        whole: [B] bool, who chooses from the whole vocabulary instead.
        least: Columns there are at least, for those who do.
    """

    embeddings: Tensor
    bias: Tensor
    token_ids: Tensor
    whole: Tensor
    least: int

    def select(self, sentences: Tensor) -> "Choice":
        """Returns those of the sentences at these positions, without columns that none of them needs."""
        used = (self.bias.index_select(0, sentences) > -torch.inf).sum(dim=1)
        columns = _in_steps(max(self.least, int(used.max())))
        return Choice(
            self.embeddings[:, :columns].index_select(0, sentences),
            self.bias[:, :columns].index_select(0, sentences),
            self.token_ids[:, :columns].index_select(0, sentences),
            self.whole.index_select(0, sentences),
            self.least,
        )

    def join(self, other: "Choice") -> "Choice":
        """Returns those of the sentences here, then those of the other."""
        columns = max(self.bias.shape[1], other.bias.shape[1])
        first, second = self._widened(columns), other._widened(columns)
        return Choice(
            torch.cat([first.embeddings, second.embeddings]),
            torch.cat([first.bias, second.bias]),
            torch.cat([first.token_ids, second.token_ids]),
            torch.cat([first.whole, second.whole]),
            max(first.least, second.least),
        )

    def _widened(self, columns: int) -> "Choice":
        pad, more = nn.functional.pad, columns - self.bias.shape[1]
        if not more:
            return self
        embeddings, bias = pad(self.embeddings, (0, 0, 0, more)), pad(self.bias, (0, more), value=-torch.inf)
        return Choice(embeddings, bias, pad(self.token_ids, (0, more)), self.whole, self.least)


class OutputLayer:
    """The tied softmax, made ready to decode.

    Args:
        weight: [V, E] float32, the embedding table.
        bias: [V] float32.
        compute_type: Of the product with the whole table. When it is bfloat16 this one runs in float32 all the same,
            as logits lie closer than 8 bits can tell. Those of a shortlist are rounded to bfloat16 unless this is
            float32: that reads half as much, and of so few pieces two are seldom as close.
        shortlist: What a sentence may be translated with; None is the whole vocabulary, always.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        *,
        compute_type: ComputeType,
        shortlist: Shortlist | None,
    ) -> None:
        """Packs the weights."""
        computed_as: ComputeType = "float32" if compute_type == "bfloat16" else compute_type
        self.product = make_product(weight, bias, bound=1, compute_type=computed_as)
        self.shortlist, self._bias = shortlist, bias
        if shortlist is not None:
            self._table = weight if compute_type == "float32" else weight.bfloat16()

    def log_probs(self, readout: Tensor) -> Tensor:
        """Scores the whole vocabulary: [N, E] to [N, V]."""
        return self.product(readout).log_softmax(dim=-1)

    def choose(self, sources: Sequence[Sequence[int]], beam_size: int) -> Choice | None:
        """Gathers what B sentences may be translated with; None if there is no shortlist."""
        if self.shortlist is None:
            return None
        chosen = [self.shortlist.pieces(source) for source in sources]
        counts = [len(pieces) for pieces in chosen if pieces is not None]
        columns = _in_steps(max([self._asked(beam_size), *counts]))
        token_ids, counted = torch.zeros(len(chosen), columns, dtype=torch.int64), torch.zeros(len(chosen), columns)
        for row, pieces in enumerate(chosen):
            if pieces is not None:
                token_ids[row, : len(pieces)] = torch.from_numpy(pieces)
                counted[row, : len(pieces)] = 1.0
        token_ids, counted = token_ids.to(self._bias.device), counted.to(self._bias.device)
        whole = torch.tensor([pieces is None for pieces in chosen], device=self._bias.device)
        embeddings = nn.functional.embedding(token_ids, self._table)
        return Choice(embeddings, self._bias[token_ids] + counted.log(), token_ids, whole, self._asked(beam_size))

    def chosen_log_probs(
        self, readout: Tensor, choice: Choice, *, any_whole: bool, spare: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Scores what each row may choose from.

        Args:
            readout: [B, K, E].
            choice: Of the B sentences.
            any_whole: Whether `choice.whole` is anywhere True, so that the device need not be asked.
            spare: So many of a row's tokens will be struck out.

        Returns:
            log_probs [B, K, C] and the token_ids [B, K, C] that they are of. Rows that choose from everything give
            the best that a search may ask for, and -inf in the other columns.
        """
        table = choice.embeddings
        logits = (table @ readout.to(table.dtype).transpose(1, 2)).transpose(1, 2) + choice.bias[:, None]
        log_probs = logits.log_softmax(dim=-1)
        token_ids = choice.token_ids[:, None].expand(logits.shape).contiguous()
        if any_whole and self.shortlist is not None:
            those = choice.whole.nonzero()[:, 0]
            beam_size = readout.shape[1]
            everything = self.log_probs(readout.index_select(0, those).flatten(0, 1))  # [any * K, V]
            everything[:, list(self.shortlist.forbidden_ids)] = -torch.inf
            count = min(everything.shape[1], self._asked(beam_size) + spare)
            if (more := count - log_probs.shape[2]) > 0:
                log_probs = nn.functional.pad(log_probs, (0, more), value=-torch.inf)
                token_ids = nn.functional.pad(token_ids, (0, more))
            best, places = (part.view(-1, beam_size, count) for part in everything.topk(count))
            log_probs[those] = -torch.inf
            log_probs[those, :, :count], token_ids[those, :, :count] = best, places
        return log_probs, token_ids

    def _asked(self, beam_size: int) -> int:
        """How many of a row's best tokens a search may ask for: K that go on, and one end."""
        return beam_size + 1


def _in_steps(columns: int) -> int:
    return -(-columns // COLUMN_STEP) * COLUMN_STEP
