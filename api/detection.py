"""Which language a text is in, among those the loaded model knows.

The verdict is py3langid's (Lui & Baldwin 2012): on short text it beat the four others that were tried, see
docs/decisions.md. Its table is loaded when a first text asks, and cut down to the languages served.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

READ_CHARACTERS = 500  # from the first letter on; more would not change the verdict, and each takes its microseconds
FALLBACK = "en"


class Detected(NamedTuple):
    """A language a text may be in, and how sure that is, 0 to 100."""

    language: str
    confidence: int


class LanguageDetector:
    """Ranks the languages of a model, in a thread of its own: the event loop goes on while a table is loaded.

    Args:
        codes: The languages of the model. One that py3langid does not know is never detected.
    """

    def __init__(self, codes: Sequence[str]) -> None:
        """Loads nothing yet."""
        self._codes = tuple(sorted(codes))
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="detector")

    async def rank_each(self, texts: Sequence[str]) -> list[list[Detected]]:
        """Returns the ranking of every text by itself: what stands beside it in a request says nothing of it."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: list(map(self.rank, texts)))

    def rank(self, text: str) -> list[Detected]:
        """Returns the languages, the likeliest first, never none.

        A text without a letter, such as a number or an emoji, says nothing: English then, or the first of the model's
        languages, at 0.
        """
        first = next((place for place, character in enumerate(text) if character.isalpha()), None)
        identifier = None if first is None else self._identifier
        if identifier is None:
            return [Detected(FALLBACK if FALLBACK in self._codes else self._codes[0], 0)]
        ranking = [
            Detected(code, round(100 * share))
            for code, share in identifier.rank(text[first : (first or 0) + READ_CHARACTERS])
        ]
        # A word that says nothing, such as "no", is a tie: English first, as for a text without letters.
        return sorted(ranking, key=lambda found: (-found.confidence, found.language != FALLBACK))

    @cached_property
    def _identifier(self) -> "LanguageIdentifier | None":
        """py3langid for the languages of the model; None if it knows none of them."""
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        whole = LanguageIdentifier.from_model_file(MODEL_FILE)
        known = sorted(set(self._codes) & set(whole.labels))
        if not known:
            return None
        whole.set_languages(known)
        # Made anew of what is left: the columns of a hundred languages are 40 MB that nobody asks for.
        return LanguageIdentifier(
            whole.nb_ptc,
            whole.nb_pc,
            whole.nb_classes,
            whole.tk_nextmove,
            whole.tk_output,
            norm_probs=True,
            tk_row=whole.tk_row,
        )
