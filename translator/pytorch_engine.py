"""The engine of PyTorch's operations: on any processor or GPU, in any arithmetic.

In float32 it equals the teacher-forced pass of `translator.model` (tested).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from translator.batch import pad
from translator.beam_search import BeamSearch
from translator.config import DecodingOptions
from translator.decoding_session import DecodingSession
from translator.packed_model import PackedModel
from translator.scoring import Hypothesis, length_penalty
from translator.tokenizer import Tokenizer


class PyTorchEngine(PackedModel):
    """A packed model that starts searches; threads may share it, a search belongs to one."""

    def session(self) -> DecodingSession:
        """Starts an empty session of rows, for a search."""
        return DecodingSession(self)

    def search(
        self, *, bos_id: int, eos_id: int, options: DecodingOptions, forbidden_ids: Sequence[int] = ()
    ) -> BeamSearch:
        """Starts an empty search; for the arguments see `BeamSearch`."""
        return BeamSearch(
            self.session(),
            bos_id=bos_id,
            eos_id=eos_id,
            options=options,
            forbidden_ids=forbidden_ids,
            device=self.device,
        )

    @torch.no_grad()
    def force(
        self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]], *, alpha: float
    ) -> list[Hypothesis]:
        """Says what it would have said of targets: each step is told which token to take."""
        wanted = pad(targets, self.pad_id).ids.to(self.device)  # [B, T]
        session, token_ids = self.session(), torch.full_like(wanted[:, 0], Tokenizer.bos_id)
        session.admit(sources, beam_size=1)
        places = torch.arange(len(sources), device=self.device)
        attention, kept, log_probs = list[Tensor](), list[Tensor](), torch.empty(wanted.shape, device=self.device)
        for step in range(wanted.shape[1]):
            all_log_probs, attention_weights, step_states, _ = session.step_in_full(token_ids, places)
            token_ids = wanted[:, step]
            log_probs[:, step] = all_log_probs.gather(1, token_ids[:, None])[:, 0]
            attention.append(attention_weights)
            kept.append(step_states)
        weights, states = torch.stack(attention, dim=1), torch.stack(kept, dim=1)  # [B, T, S], [B, T, E]
        origins = session.explain(places, wanted, weights, states).float().cpu().numpy()  # [B, T, S]
        looked = weights.float().cpu().numpy()
        hypotheses = []
        for row, (source, target) in enumerate(zip(sources, targets, strict=True)):
            token_log_probs = log_probs[row, : len(target)].tolist()
            log_prob = sum(token_log_probs)
            score = log_prob / length_penalty(len(target), alpha)
            attention_of, origins_of = (part[row, : len(target), : len(source)].copy() for part in (looked, origins))
            hypotheses.append(
                Hypothesis(tuple(target), tuple(token_log_probs), log_prob, score, attention_of, origins_of, True)
            )
        return hypotheses
