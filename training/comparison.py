"""Whether two systems really differ: paired bootstrap on the same test set.

Source: Koehn 2004, as sacreBLEU does it (Post 2018).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sacrebleu.significance import PairedTest, Result

from training.evaluation import metrics
from translator.errors import CorpusError

BOOTSTRAP_SAMPLES = 1000


@dataclass(frozen=True)
class Comparison:
    """One metric in a paired bootstrap.

    Args:
        metric: Its name.
        ours: Our score on the whole set.
        theirs: The other system's.
        p_value: Probability of a difference this large if the systems were equal; below 0.05 is usually believed.
        signature: sacreBLEU's, with the number of resamples and the seed.
    """

    metric: str
    ours: float
    theirs: float
    p_value: float
    signature: str


def compare(
    ours: Sequence[str], theirs: Sequence[str], references: Sequence[Sequence[str]], *, samples: int = BOOTSTRAP_SAMPLES
) -> tuple[Comparison, ...]:
    """Compares two systems.

    Args:
        ours: Hypotheses.
        theirs: Another system's, of the same sources.
        references: Streams aligned with both.
        samples: Bootstrap resamples.

    Raises:
        CorpusError: The systems differ in length.
    """
    if len(ours) != len(theirs):
        came = f"{len(ours):,} and {len(theirs):,} lines"
        raise CorpusError(f"The systems differ in length: {came}; both must translate the same text.")
    systems: list[tuple[str, Sequence[str]]] = [("theirs", list(theirs)), ("ours", list(ours))]
    test = PairedTest(systems, metrics(), [list(stream) for stream in references], "bs", n_samples=samples)
    signatures, results = test()
    comparisons = []
    for name, found in results.items():
        if name not in signatures:
            continue
        baseline, system = (result for result in found if isinstance(result, Result))
        # Resampling cannot tell equal scores apart, and its p-value for them is an artefact of counting.
        p_value = 1.0 if system.score == baseline.score or system.p_value is None else system.p_value
        comparisons.append(Comparison(name, system.score, baseline.score, p_value, str(signatures[name])))
    return tuple(comparisons)
