"""How fast the translator has been lately, from which a refused client is told when to come back."""

GUESSED_CHARACTERS_PER_SECOND = 1_000.0  # before anything was measured; counts like one second of work
KEPT = 0.9  # of what is remembered, at each new batch


class Pace:
    """A decayed mean of characters a second: rate = sum KEPT^age * characters / sum KEPT^age * seconds.

    Sums are divided, not rates averaged: a batch of one word, which is slow by the character, weighs little.
    """

    def __init__(self) -> None:
        """Starts with a guess."""
        self._characters = GUESSED_CHARACTERS_PER_SECOND
        self._seconds = 1.0

    @property
    def characters_per_second(self) -> float:
        """The rate; never 0."""
        return max(1.0, self._characters / self._seconds)

    def add(self, characters: int, seconds: float) -> None:
        """Learns from a batch that was translated."""
        self._characters = KEPT * self._characters + characters
        self._seconds = KEPT * self._seconds + seconds
