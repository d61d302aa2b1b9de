"""Texts of many callers, translated together: they come and go at any step, and none sees the others.

    admit() -> ticket ... advance(), advance(), ... -> tickets that have ended ... collect(ticket) -> translations

Translating a file, streaming one answer and serving many clients at once are three callers of this one machine. It
leads every text through the models that were taught its direction: one model, or two of them with a language between.
"""

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field

from translator.model_session import ModelSession
from translator.pivot import Direction, check_requests, legs
from translator.translation import Translation, TranslationRequest

Progress = Callable[[int, int], None]
"""Told (sentences done, sentences in all)."""


@dataclass
class _Caller:
    """Whose texts are on their way, and how far they are.

    Args:
        legs: Says what to translate next.
        through: Of each text, whether it goes through a third language.
        n_best: Translations wanted of each text.
        in_order: Whether the first sentences are wanted first.
        progress: Whom to tell.
    """

    legs: Generator[list[TranslationRequest], list[Translation], list[Translation]]
    through: list[bool]
    n_best: int | None
    in_order: bool
    progress: Progress | None
    parts: dict[tuple[str, int], list[int]] = field(default_factory=dict)  # (model, its ticket) -> places in the leg
    found: list[Translation | None] = field(default_factory=list)  # by place
    ended: int = 0  # sentences of the parts of this leg that have ended
    second: bool = False  # whether this is the second leg
    before: int = 0  # sentences of the leg before
    onwards: bool = False  # whether another leg follows
    direct: list[str] = field(default_factory=list)  # translations of the leg before, by text
    told: tuple[int, int] = 0, 0
    translations: list[Translation] | None = None
    failure: Exception | None = None


class TranslationSession:
    """Searches, the texts that are in them, and those that wait. Not thread-safe.

    Example:
        >>> session = Translator.load().session()  # doctest: +SKIP
        >>> ticket = session.admit([TranslationRequest("Good morning!", "en", "de")])  # doctest: +SKIP
        >>> while ticket not in session.advance():  # doctest: +SKIP
        ...     print(session.settled(ticket))
        >>> session.collect(ticket)[0].text  # doctest: +SKIP
        'Guten Morgen!'

    Args:
        taught: Every direction that a model was taught, with that model's name.
        start: Starts a session of the model of this name; asked again when that has nothing to do any more.
        release: Told the models that are in use, so that others can be let go; None tells nobody.
    """

    def __init__(
        self,
        taught: Mapping[Direction, str],
        start: Callable[[str], ModelSession],
        release: Callable[[Collection[str]], None] | None = None,
    ) -> None:
        """Begins with nothing to do."""
        self._taught, self._start, self._release = taught, start, release
        self._sessions: dict[str, ModelSession] = {}  # by model, those that have something to do
        self._callers: dict[int, _Caller] = {}  # by ticket
        self._owners: dict[tuple[str, int], int] = {}  # by model and its ticket
        self._ended: list[int] = []
        self._admitted = 0

    @property
    def busy(self) -> bool:
        """Whether any text has not ended."""
        return bool(self._sessions) or bool(self._ended)

    @property
    def live(self) -> int:
        """Sentences that are searched now; more may wait."""
        return sum(session.live for session in self._sessions.values())

    def admit(
        self,
        requests: Sequence[TranslationRequest],
        *,
        n_best: int | None = None,
        in_order: bool = False,
        progress: Progress | None = None,
    ) -> int:
        """Takes the texts of one caller; returns the ticket that stands for them.

        Args:
            requests: Texts and directions.
            n_best: Translations wanted of each, at most those the session was made for, which is what None asks for.
            in_order: Whether somebody reads along, and wants the first sentences first.
            progress: Told (sentences done, sentences in all) as sentences end.

        Raises:
            TypeError: A text is none.
            ConfigError: `n_best` is more than the session was made for.
            LanguageError: A direction is not translated.
            CheckpointError: A model that is needed cannot be loaded.
        """
        check_requests(requests, self._taught)
        through = [request.direction not in self._taught for request in requests]
        caller = _Caller(legs(requests, self._taught), through, n_best, in_order, progress)
        caller.onwards, caller.direct = any(through), ["" for _ in requests]
        self._admitted += 1
        self._callers[self._admitted] = caller
        try:
            self._begin(self._admitted, next(caller.legs))
        except BaseException:
            self._forget(self._admitted)
            raise
        caller.told = self.progress(self._admitted)
        return self._admitted

    def cancel(self, ticket: int) -> None:
        """Forgets texts; what is searched of them leaves before the next step. An unknown ticket is ignored."""
        if ticket in self._callers:
            self._forget(ticket)

    def advance(self) -> list[int]:
        """Writes one token of every sentence in the search; returns the tickets whose texts have all ended."""
        for name, session in list(self._sessions.items()):
            for part in session.advance():
                self._take(name, part)
        self.rest()
        self._tell()
        ended, self._ended = self._ended, []
        return ended

    def rest(self) -> None:
        """Lets go of models that nobody needed for a while; `advance` does too, where there is anything to do."""
        self._drop_idle()
        if self._release is not None:
            self._release(self._sessions.keys())

    def collect(self, ticket: int) -> list[Translation]:
        """Gives the translations of a ticket that has ended, in order, and forgets it.

        Raises:
            KeyError: There is no such ticket, or it was collected before.
            RuntimeError: It has not ended.
            Exception: What went wrong on their way.
        """
        caller = self._callers[ticket]
        if caller.failure is None and caller.translations is None:
            raise RuntimeError(f"Ticket {ticket} was collected too early; advance until it has ended.")
        self._forget(ticket)
        if caller.failure is not None or caller.translations is None:
            raise caller.failure or RuntimeError
        return caller.translations

    def settled(self, ticket: int) -> list[str]:
        """Says what the translation of each text of a live ticket will begin with; it only grows.

        Of texts that go through a third language nothing is known before their last way.

        Raises:
            KeyError: There is no such ticket, or it was collected before.
        """
        caller = self._callers[ticket]
        if caller.translations is not None:
            return [translation.text for translation in caller.translations]
        texts = ["" if found is None else found.text for found in caller.found]
        for (name, part), places in caller.parts.items():
            for place, text in zip(places, self._sessions[name].settled(part), strict=True):
                texts[place] = text
        if not caller.second:  # the places of the first leg are those of the texts
            return ["" if through else text for through, text in zip(caller.through, texts, strict=True)]
        onwards = iter(texts)
        return [next(onwards) if through else told for through, told in zip(caller.through, caller.direct, strict=True)]

    def progress(self, ticket: int) -> tuple[int, int]:
        """Says how many sentences of a live ticket are done, and how many there are.

        Two ways are told as one; the second is taken to be as long as the first.

        Raises:
            KeyError: There is no such ticket, or it was collected before.
        """
        caller = self._callers[ticket]
        done = count = caller.ended
        for name, part in caller.parts:
            of_part = self._sessions[name].progress(part)
            done, count = done + of_part[0], count + of_part[1]
        if caller.before:
            return caller.before + (caller.before * done // count if count else caller.before), 2 * caller.before
        return done, (1 + caller.onwards) * count

    def _begin(self, ticket: int, requests: Sequence[TranslationRequest]) -> None:
        """Sends the texts of a leg to the models that were taught their directions."""
        caller = self._callers[ticket]
        caller.found, caller.ended = [None] * len(requests), 0
        places: dict[str, list[int]] = {}
        for place, request in enumerate(requests):
            places.setdefault(self._taught[request.direction], []).append(place)
        for name, chosen in places.items():
            if name not in self._sessions:
                self._sessions[name] = self._start(name)
            texts = [requests[place] for place in chosen]
            part = name, self._sessions[name].admit(texts, n_best=caller.n_best, in_order=caller.in_order)
            caller.parts[part], self._owners[part] = chosen, ticket
        if not places:
            self._go_on(ticket)

    def _take(self, name: str, part: int) -> None:
        """Takes what a model has translated; when it was the last of a leg, begins the next, or ends."""
        if (ticket := self._owners.pop((name, part), None)) is None:
            return  # another part of it went wrong
        session, caller = self._sessions[name], self._callers[ticket]
        places = caller.parts.pop((name, part))
        _, sentences = session.progress(part)
        try:
            for place, translation in zip(places, session.collect(part), strict=True):
                caller.found[place] = translation
            caller.ended += sentences
            if not caller.parts:
                self._go_on(ticket)
        except Exception as error:
            caller.failure = error
            self._leave(caller)
            self._ended.append(ticket)

    def _go_on(self, ticket: int) -> None:
        caller = self._callers[ticket]
        found = [translation for translation in caller.found if translation is not None]
        if len(found) < len(caller.found):
            raise RuntimeError(f"{len(caller.found)} texts went in and {len(found)} translations came out.")
        try:
            requests = caller.legs.send(found)
        except StopIteration as last:
            caller.translations = last.value
            self._ended.append(ticket)
        else:
            caller.before, caller.onwards, caller.second = caller.ended, False, True
            caller.direct = [translation.text for translation in found]
            self._begin(ticket, requests)

    def _tell(self) -> None:
        for ticket, caller in self._callers.items():
            if caller.progress is not None and (now := self.progress(ticket)) != caller.told:
                caller.told = now
                caller.progress(*now)

    def _leave(self, caller: _Caller) -> None:
        for name, part in caller.parts:
            del self._owners[name, part]
            self._sessions[name].cancel(part)
        caller.parts = {}

    def _forget(self, ticket: int) -> None:
        self._leave(self._callers.pop(ticket))
        self._ended = [ended for ended in self._ended if ended != ticket]
        self._drop_idle()

    def _drop_idle(self) -> None:
        self._sessions = {name: session for name, session in self._sessions.items() if session.busy}
