"""A decoding session whose beams are full from the first step on, which says in fewer words what rows there are."""

from collections.abc import Sequence

import torch
from torch import Tensor

from translator.pytorch_engine import PyTorchEngine
from translator.stepper import StepOutput


class FullBeams:
    """Every sentence has K rows, all of them alike when it is admitted."""

    def __init__(self, engine: PyTorchEngine) -> None:
        self.session, self.sentences, self.beam_size = engine.session(), 0, 1

    def admit(self, sources: Sequence[Sequence[int]], beam_size: int) -> None:
        old, self.beam_size = self.sentences * self.beam_size, beam_size
        self.session.admit(sources, beam_size)
        self.sentences += len(sources)
        new = torch.arange(old, old + len(sources)).repeat_interleave(beam_size)
        self.session.reorder(torch.cat([torch.arange(old), new]))

    def step(self, token_ids: Tensor) -> StepOutput:
        return self.session.step(token_ids, torch.arange(len(token_ids)))

    def step_in_full(self, token_ids: Tensor) -> StepOutput:
        return self.session.step_in_full(token_ids, torch.arange(len(token_ids)))

    def reorder(self, rows: Tensor) -> None:
        self.session.reorder(rows)

    def keep(self, sentences: Tensor) -> None:
        self.session.keep(sentences)
        self.sentences = len(sentences)
        if self.sentences:
            rows = sentences[:, None] * self.beam_size + torch.arange(self.beam_size)
            self.session.reorder(rows.flatten())
