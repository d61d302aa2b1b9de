"""Sentences of many callers through one search: they wait, join at any step, leave when they have ended.

Callers bring their sentences in *lots*. A lot that has nothing in the search yet does not wait for room: its first
sentence joins at the next step, or where it would be read almost alone beside many, up to three steps later, together
with who else has come. Otherwise new ones join when half of the batch has ended, taken from all lots in turn, so that
they are encoded together and no lot holds another up. Those of one lot go longest first, so little of the batch is
padding, unless somebody reads along and wants them in order.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from translator.config import DecodingOptions
from translator.engine import DecodingEngine
from translator.errors import CancelledError, ConfigError
from translator.scoring import Hypothesis
from translator.tokenizer import Tokenizer

MAX_BATCH_TOKENS = 8192  # source tokens, padding included, that are searched at once
CROWD = 2  # times the batch that lots which have just come may make of it
LEAST_NEWCOMERS, PATIENCE = 0.25, 3
"""Sentences wait until so many can be read together, as a share of those in the search, but no more than so many steps:
to read one takes half as long as to read sixteen."""

Source = Sequence[int]
"""Ids with language token and eos."""


class Ended(NamedTuple):
    """A sentence that was searched: its lot, its place among the lot's sources, and its n-best, best first."""

    lot: int
    position: int
    hypotheses: list[Hypothesis]


@dataclass
class _Lot:
    sources: Sequence[Source]
    n_best: int
    waiting: list[int]  # positions; the last one is the next to join
    tickets: dict[int, int] = field(default_factory=dict)  # position -> ticket, of those in the search


class DecodingQueue:
    """One search, and what waits for it. Not thread-safe.

    Args:
        engine: The model.
        tokenizer: Says which tokens may never be produced.
        options: The same for all sentences, but for `n_best`, of which it is the most that a lot may ask for.
        batch_size: Most sentences searched at once; some more for a while when new lots come.

    Raises:
        ConfigError: `batch_size` is below 1.
    """

    def __init__(
        self, engine: DecodingEngine, tokenizer: Tokenizer, *, options: DecodingOptions, batch_size: int = 64
    ) -> None:
        """Begins with nothing to do."""
        if batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size}, wanted at least 1.")
        self._search = engine.search(
            bos_id=tokenizer.bos_id,
            eos_id=tokenizer.eos_id,
            options=options,
            forbidden_ids=[tokenizer.pad_id, tokenizer.bos_id, *map(tokenizer.language_id, tokenizer.languages)],
        )
        self._most, self._batch_size = options.n_best, batch_size
        self._lots: dict[int, _Lot] = {}
        self._turns: deque[int] = deque()  # lots with waiting sentences, the next one first
        self._owners: dict[int, tuple[int, int]] = {}  # ticket -> lot, position
        self._brought = self._waited = 0

    @property
    def live(self) -> int:
        """Sentences in the search."""
        return self._search.live

    @property
    def busy(self) -> bool:
        """Whether anything is left to do."""
        return bool(self._lots)

    def add(self, sources: Sequence[Source], *, n_best: int | None = None, in_order: bool = False) -> int:
        """Takes sentences in; returns the number of the lot, never used twice.

        Args:
            sources: At least one, none empty.
            n_best: Hypotheses wanted of each; None is what the options say.
            in_order: Whether the first ones are wanted first.
        """
        self._brought += 1
        order = range(len(sources) - 1, -1, -1)
        waiting = list(order) if in_order else sorted(order, key=lambda position: len(sources[position]))
        self._lots[self._brought] = _Lot(sources, n_best or self._most, waiting)
        self._turns.append(self._brought)
        return self._brought

    def withdraw(self, lot: int) -> None:
        """Forgets a lot; its rows leave before the next step. One that is not there is ignored."""
        if (gone := self._lots.pop(lot, None)) is None:
            return
        if gone.waiting:
            self._turns.remove(lot)
        self._search.cancel(gone.tickets.values())
        for ticket in gone.tickets.values():
            del self._owners[ticket]

    def advance(self) -> list[Ended]:
        """Lets join what there is room for, and writes one token of every sentence; returns those that ended."""
        self._admit()
        ended = []
        for ticket, hypotheses in self._search.advance():
            number, position = self._owners.pop(ticket)
            lot = self._lots[number]
            del lot.tickets[position]
            if not lot.tickets and not lot.waiting:
                del self._lots[number]
            ended.append(Ended(number, position, hypotheses))
        return ended

    def settled(self, lot: int, position: int) -> list[int]:
        """Token ids that the best hypothesis of a sentence will begin with; none unless it is in the search.

        Raises:
            KeyError: The lot is not there.
        """
        ticket = self._lots[lot].tickets.get(position)
        return [] if ticket is None else self._search.settled(ticket)

    def _admit(self) -> None:
        crowded = self._search.live > self._batch_size // 2
        if self._waited < PATIENCE and 0 < self._would_join(crowded=crowded) < LEAST_NEWCOMERS * self._search.live:
            self._waited += 1
            return
        self._waited = 0
        # Padded to the longest, as the search will hold them.
        longest = max((len(self._lots[lot].sources[position]) for lot, position in self._owners.values()), default=0)
        count, chosen, passed = self._search.live, list[tuple[int, int]](), list[int]()
        while self._turns:
            number = self._turns.popleft()
            lot = self._lots[number]
            new = not lot.tickets and all(taken != number for taken, _ in chosen)
            longer = max(longest, len(lot.sources[lot.waiting[-1]]))
            room = CROWD if new else 1
            fits = count < room * self._batch_size and (count + 1) * longer <= room * MAX_BATCH_TOKENS
            if new and count and not fits:
                # Nobody overtakes it, or shorter ones that keep coming would for ever.
                self._turns.appendleft(number)
                break
            if (count and not fits) or (crowded and not new):
                passed.append(number)
                continue
            chosen.append((number, lot.waiting.pop()))
            count, longest = count + 1, longer
            if lot.waiting:
                self._turns.append(number)
        self._turns.extend(passed)
        self._join(chosen)

    def _would_join(self, *, crowded: bool) -> int:
        """Sentences that would be read now if there were room: in a crowd one of each lot that is not in the search."""
        lots = [self._lots[number] for number in self._turns]
        return sum(not lot.tickets for lot in lots) if crowded else sum(len(lot.waiting) for lot in lots)

    def _join(self, chosen: Sequence[tuple[int, int]]) -> None:
        lots = [self._lots[number] for number, _ in chosen]
        sources = [lot.sources[position] for lot, (_, position) in zip(lots, chosen, strict=True)]
        tickets = self._search.admit(sources, n_best=[lot.n_best for lot in lots])
        for ticket, lot, (number, position) in zip(tickets, lots, chosen, strict=True):
            lot.tickets[position] = ticket
            self._owners[ticket] = number, position


def decode_all(
    engine: DecodingEngine,
    tokenizer: Tokenizer,
    sources: Sequence[Source],
    *,
    options: DecodingOptions,
    batch_size: int = 64,
    cancelled: Callable[[], bool] | None = None,
) -> list[list[Hypothesis]]:
    """Searches the best targets of many sources.

    Args:
        engine: The model.
        tokenizer: Says which tokens may never be produced.
        sources: None empty.
        options: The same for all.
        batch_size: Most sentences searched at once, at least 1.
        cancelled: Asked before every step.

    Returns:
        For each source its n-best hypotheses, best first.

    Raises:
        CancelledError: `cancelled` said yes.
        ConfigError: `batch_size` is below 1.
    """
    queue = DecodingQueue(engine, tokenizer, options=options, batch_size=batch_size)
    results: list[list[Hypothesis]] = [[] for _ in sources]
    if sources:
        queue.add(sources)
    while queue.busy:
        if cancelled is not None and cancelled():
            raise CancelledError("The translation was cancelled.")
        for _, position, hypotheses in queue.advance():
            results[position] = hypotheses
    return results
