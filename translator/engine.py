"""The decoding engine: a model made ready to decode, any number of searches over it, and what it says of given targets.

There are two that give the same but for rounding: our own kernels', where the processor has what they need and int8 is
wanted, and PyTorch's, which is loaded only where it is.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from translator import kernels
from translator.checkpoint import Checkpoint
from translator.compute_type import ComputeType, on_processor, require_pytorch
from translator.config import DecodingOptions
from translator.errors import ConfigError
from translator.kernel_engine import KernelEngine
from translator.scoring import Hypothesis
from translator.threads import thread_count


class Search(Protocol):
    """A search over any number of sentences, none of which sees the others; see `translator.beam_search`."""

    @property
    def live(self) -> int:
        """Sentences admitted that have neither ended nor been cancelled."""

    def admit(self, sources: Sequence[Sequence[int]], *, n_best: Sequence[int] | None = None) -> list[int]:
        """Take sentences in, at any step; returns one ticket each, never used twice."""

    def cancel(self, tickets: Iterable[int]) -> None:
        """Forget sentences. Tickets that are not live are ignored."""

    def settled(self, ticket: int) -> list[int]:
        """Tokens that the best hypothesis of a live sentence will begin with."""

    def advance(self) -> list[tuple[int, list[Hypothesis]]]:
        """Produce one token for every live sentence; returns those that ended with it, and their hypotheses."""


class DecodingEngine(Protocol):
    """What decodes. Threads may share it; a search belongs to one."""

    @property
    def compute_type(self) -> ComputeType:
        """Arithmetic of its products."""

    def search(
        self, *, bos_id: int, eos_id: int, options: DecodingOptions, forbidden_ids: Sequence[int] = ()
    ) -> Search:
        """Start an empty search; for the arguments see `translator.beam_search.BeamSearch`.

        Raises:
            ConfigError: `eos_id` is forbidden.
        """

    def force(
        self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]], *, alpha: float
    ) -> list[Hypothesis]:
        """Say what it would have said of targets that are given, of the whole vocabulary whatever the shortlist.

        Args:
            sources: Ids with language token and eos.
            targets: Ids and eos, one of each source.
            alpha: Of the length penalty.
        """


def make_engine(
    checkpoint: Checkpoint,
    *,
    compute_type: ComputeType,
    device: str = "cpu",
    use_shortlist: bool = True,
    use_kernels: bool = True,
) -> DecodingEngine:
    """Makes a checkpoint ready to decode.

    Args:
        checkpoint: Not needed afterwards. Without the kernels its `model` is spent: moved to the device, without
            gradients.
        compute_type: How products are computed.
        device: Where, as PyTorch names it.
        use_shortlist: Whether sentences choose from what its shortlist leaves them, if it has one.
        use_kernels: Whether int8 is computed by our own kernels where they are; else by PyTorch.

    Raises:
        ConfigError: There is no such device, or no PyTorch where it is needed.
    """
    pad_id, shortlist = checkpoint.tokenizer.pad_id, checkpoint.shortlist if use_shortlist else None
    if compute_type == "int8" and use_kernels and on_processor(device) and kernels.available():
        heads = checkpoint.manifest.model.attention_heads
        return KernelEngine(checkpoint.weights, pad_id=pad_id, heads=heads, shortlist=shortlist)
    require_pytorch()
    from translator.pytorch_engine import PyTorchEngine

    thread_count()  # tells it how many threads were chosen before it was there
    try:
        model = checkpoint.model.to(device)
    except (RuntimeError, AssertionError) as error:  # what PyTorch says runs over many lines
        raise ConfigError(f"device {device!r} is not to be had here ({str(error).splitlines()[0]}).") from None
    return PyTorchEngine(model, pad_id=pad_id, compute_type=compute_type, shortlist=shortlist)
