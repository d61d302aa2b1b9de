"""The decoding engine: a model made ready to decode, and any number of searches over it.

In float32 it equals the teacher-forced pass of `translator.model` (tested).
"""

from translator.decoding_session import DecodingSession
from translator.packed_model import PackedModel


class DecodingEngine(PackedModel):
    """A packed model that starts searches; threads may share it, a search belongs to one."""

    def session(self) -> DecodingSession:
        """Starts an empty search."""
        return DecodingSession(self)
