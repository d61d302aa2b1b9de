"""Many sentences through one search: sorted by length, admitted as room comes free, given back in their order."""

from collections.abc import Callable, Collection, Sequence

from translator.beam_search import BeamSearch
from translator.config import DecodingOptions
from translator.engine import DecodingEngine
from translator.errors import CancelledError, ConfigError
from translator.scoring import Hypothesis
from translator.tokenizer import Tokenizer

MAX_BATCH_TOKENS = 8192  # source tokens, padding included, that are searched at once


def decode_all(
    engine: DecodingEngine,
    tokenizer: Tokenizer,
    sources: Sequence[Sequence[int]],
    *,
    options: DecodingOptions,
    batch_size: int = 64,
    on_finished: Callable[[int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[list[Hypothesis]]:
    """Searches the best targets of many sources.

    The longest go first and new ones join whenever half of the batch has ended, so the batch stays full and little of
    it is padding.

    Args:
        engine: The model.
        tokenizer: Says which tokens may never be produced.
        sources: Ids with language token and eos, none empty.
        options: The same for all.
        batch_size: Most sentences searched at once, at least 1.
        on_finished: Told the position of each source that ended.
        cancelled: Asked before every step.

    Returns:
        For each source its n-best hypotheses, best first.

    Raises:
        CancelledError: `cancelled` said yes.
        ConfigError: `batch_size` is below 1.
    """
    if batch_size < 1:
        raise ConfigError(f"batch_size is {batch_size}, wanted at least 1.")
    search = BeamSearch(
        engine.session(),
        bos_id=tokenizer.bos_id,
        eos_id=tokenizer.eos_id,
        options=options,
        forbidden_ids=[tokenizer.pad_id, tokenizer.bos_id, *map(tokenizer.language_id, tokenizer.languages)],
        device=engine.device,
    )
    waiting = sorted(range(len(sources)), key=lambda position: len(sources[position]))
    position_of: dict[int, int] = {}
    results: list[list[Hypothesis]] = [[] for _ in sources]
    while waiting or search.live:
        if cancelled is not None and cancelled():
            raise CancelledError("The translation was cancelled.")
        if waiting and search.live <= batch_size // 2:
            room = _room(sources, waiting, position_of.values(), batch_size)
            admitted, waiting = waiting[len(waiting) - room :], waiting[: len(waiting) - room]
            position_of.update(zip(search.admit([sources[n] for n in admitted]), admitted, strict=True))
        for ticket, hypotheses in search.advance():
            position = position_of.pop(ticket)
            results[position] = hypotheses
            if on_finished is not None:
                on_finished(position)
    return results


def _room(sources: Sequence[Sequence[int]], waiting: Sequence[int], live: Collection[int], batch_size: int) -> int:
    """Returns how many of `waiting`, taken from its end, may join: limited by number and by padded tokens."""
    longest = max(len(sources[position]) for position in (*live, waiting[-1]))
    room = min(batch_size, MAX_BATCH_TOKENS // longest) - len(live)
    return min(len(waiting), max(room, 0 if live else 1))
