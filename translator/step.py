"""One step of the decoder: every row takes its previous token in.

By operations of PyTorch's; where there are kernels, `translator.kernel_search` does the same in one call. Which tokens
may follow is `translator.output`'s affair.

Letters: B known sentences · K beam size · N rows, at most K for each sentence · S source length · H width of a layer ·
E width of the readout · M numbers of a context.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from translator.lstm_cell import lstm_cell
from translator.packed_model import PackedModel
from translator.sentence_memory import SentenceMemory


class Places(NamedTuple):
    """Where rows stand among the beams of all known sentences.

    Args:
        of: k + K * b for row k of sentence b. [N] int64
        beam_size: K.
        sentences: B.
    """

    of: Tensor
    beam_size: int
    sentences: int

    def spread(self, parts: Tensor) -> Tensor:
        """Lays what rows have, [N or more, D], out to all beams, [B, K, D]."""
        count = self.sentences * self.beam_size
        if len(self.of) < count:
            parts = parts.new_zeros(count, parts.shape[1]).index_copy_(0, self.of, parts[: len(self.of)])
        return parts[:count].view(-1, self.beam_size, parts.shape[1])

    def gathered(self, parts: Tensor) -> Tensor:
        """Takes what there is of each row, [N, any], from [B, K, any]."""
        parts = parts.flatten(0, 1)
        return parts if len(self.of) == len(parts) else parts.index_select(0, self.of)


class Taken(NamedTuple):
    """What a step leaves behind; of N or more rows, of which those behind the N are nobody's."""

    readout: Tensor  # [N or more, E]
    attention_weights: Tensor  # [N, S]
    states: Tensor  # [N, E], the state's part in the readout before its tanh
    hidden: list[Tensor]  # of each layer [N or more, H]
    cell: list[Tensor]


def take(
    engine: PackedModel,
    token_ids: Tensor,
    places: Places,
    memory: SentenceMemory,
    hidden: Sequence[Tensor],
    cell: Sequence[Tensor],
) -> Taken:
    """Takes every row's previous token in.

    Args:
        engine: The model.
        token_ids: [N] int64.
        places: Of the N rows.
        memory: Of the B sentences.
        hidden: Of each layer, [N or more, H].
        cell: Likewise.
    """
    room = len(hidden[0]) - len(token_ids)
    if room:
        token_ids = nn.functional.pad(token_ids, (0, room))
    gates = engine.first(hidden[0]) + engine.first_gates.index_select(0, token_ids)
    outputs, following = lstm_cell(gates, cell[0])  # [N, H]
    # The rows of a sentence ask its memory together, as K queries: nothing is copied K times.
    context, weights = engine.attend(places.spread(engine.query(outputs)), memory)
    context, weights = places.gathered(context), places.gathered(weights)
    if room:
        context = nn.functional.pad(context, (0, 0, 0, room))
    *to_gates, to_readout = context.split(engine.context_widths, dim=1)
    hiddens, cells = [outputs], [following]
    for depth, (product, from_context) in enumerate(zip(engine.later, to_gates, strict=True), start=1):
        gates = product(outputs, hidden[depth]).add_(from_context)
        above, following = lstm_cell(gates, cell[depth])
        hiddens.append(above)
        cells.append(following)
        outputs = outputs + above
    states = engine.readout(outputs)
    return Taken(torch.tanh(states + to_readout), weights, states[: len(token_ids) - room], hiddens, cells)
