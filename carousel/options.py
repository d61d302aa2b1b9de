"""Options that several sub-commands share, so that they read alike everywhere.

Those of the search have no default here: what is not given is what the checkpoint recommends.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from translator.config import DecodingOptions

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="Name of a built-in model, or a checkpoint folder; see carousel models.",
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        min=1,
        max=256,
        help="Processor threads; if not given all cores, or what OMP_NUM_THREADS says. "
        "Several workers of a service have so many each, or share them.",
    ),
]
WorkersOption = Annotated[
    int,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        max=256,
        help="Processes that share the lines, which is quicker for many: of one thread each, whatever --threads says. "
        "If one dies the command ends. 1 is this process, with all threads.",
    ),
]
ComputeTypeOption = Annotated[
    Literal["auto", "int8", "bfloat16", "float32"] | None,
    typer.Option(
        "--compute-type",
        metavar="TYPE",
        help="Arithmetic: int8, bfloat16, float32, or auto (if not given): the quickest that the processor has.",
    ),
]
BeamSizeOption = Annotated[
    int | None,
    typer.Option("--beam-size", metavar="N", help="Hypotheses kept at each word; 1 is greedy, the quickest."),
]
LengthPenaltyOption = Annotated[
    float | None,
    typer.Option(
        "--length-penalty",
        metavar="ALPHA",
        help="Preference for longer translations (alpha of Wu et al. 2016); 0 is none.",
    ),
]
CoveragePenaltyOption = Annotated[
    float | None,
    typer.Option(
        "--coverage-penalty",
        metavar="BETA",
        help="Penalty for source words left out (beta of Wu et al. 2016); 0 is none.",
    ),
]
PruningThresholdOption = Annotated[
    float | None,
    typer.Option(
        "--pruning-threshold",
        metavar="NATS",
        help="Give up hypotheses that are so far behind the likeliest (Freitag & Al-Onaizan 2017); 0 is never.",
    ),
]
DecisionDelayOption = Annotated[
    int | None,
    typer.Option(
        "--decision-delay",
        metavar="TOKENS",
        help="Give up hypotheses that differ from the likeliest so far back (Forney 1973), so that a stream says "
        "something early; 0 is never.",
    ),
]
NoRepeatNgramSizeOption = Annotated[
    int | None,
    typer.Option(
        "--no-repeat-ngram-size",
        metavar="TOKENS",
        help="Never say so many tokens again in a translation, unless the text repeats itself; 0 is no such rule.",
    ),
]


def as_spelt(code: str, known: Iterable[str]) -> str:
    """Return a language code as a model spells it, whatever case it was typed in; as it was typed if none knows it."""
    return next((each for each in known if each.lower() == code.strip().lower()), code)


def decoding_options(recommended: "DecodingOptions", **given: float | None) -> "DecodingOptions":
    """Put what the command line gives over what the checkpoint recommends.

    Args:
        recommended: Of the checkpoint.
        **given: Fields of DecodingOptions; None is what was not given.

    Raises:
        ConfigError: When the search cannot be done so.
    """
    return replace(recommended, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
