"""The engine of the kernels: a model packed for them, searches over it, and forced decoding, all without PyTorch."""

from collections.abc import Sequence

from translator.compute_type import ComputeType
from translator.config import DecodingOptions
from translator.kernel_model import KernelModel
from translator.kernel_search import KernelSearch
from translator.scoring import Hypothesis
from translator.tokenizer import Tokenizer


class KernelEngine(KernelModel):
    """A packed model that starts searches; threads may share it, a search belongs to one."""

    compute_type: ComputeType = "int8"

    def search(
        self, *, bos_id: int, eos_id: int, options: DecodingOptions, forbidden_ids: Sequence[int] = ()
    ) -> KernelSearch:
        """Starts an empty search."""
        return KernelSearch(self, bos_id=bos_id, eos_id=eos_id, options=options, forbidden_ids=forbidden_ids)

    def force(
        self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]], *, alpha: float
    ) -> list[Hypothesis]:
        """Says what it would have said of targets: a greedy search that is told at each step which token to take."""
        options = DecodingOptions(beam_size=1, length_penalty=alpha)
        search = self.search(bos_id=Tokenizer.bos_id, eos_id=Tokenizer.eos_id, options=options)
        tickets = search.admit(sources, given=targets)
        found = search.run()
        return [found[ticket][0] for ticket in tickets]
