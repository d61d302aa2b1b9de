"""The decoding engine: a model made ready to decode, and any number of searches over it.

In float32 it equals the teacher-forced pass of `translator.model` (tested).
"""

from collections.abc import Sequence

from translator.beam_search import BeamSearch
from translator.config import DecodingOptions
from translator.decoding_session import DecodingSession
from translator.kernel_search import KernelSearch, can_search
from translator.packed_model import PackedModel


class DecodingEngine(PackedModel):
    """A packed model that starts searches; threads may share it, a search belongs to one."""

    def session(self) -> DecodingSession:
        """Starts an empty session of rows, for a search that goes step by step through PyTorch."""
        return DecodingSession(self)

    def search(
        self, *, bos_id: int, eos_id: int, options: DecodingOptions, forbidden_ids: Sequence[int] = ()
    ) -> BeamSearch | KernelSearch:
        """Starts an empty search, by the kernels where these can do it; for the arguments see `BeamSearch`."""
        if can_search(self):
            return KernelSearch(self, bos_id=bos_id, eos_id=eos_id, options=options, forbidden_ids=forbidden_ids)
        return BeamSearch(
            self.session(),
            bos_id=bos_id,
            eos_id=eos_id,
            options=options,
            forbidden_ids=forbidden_ids,
            device=self.device,
        )
