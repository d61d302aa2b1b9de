"""What stands between commas, as an utterance of its own: from "Non, merci !" there is "Non !" to be learnt.

Corpora have calls of a word or two inside of sentences more often than alone, and a translator is asked for them alone.
A part of a sentence is taken out where marks set it off on both sides and the links of its words stay inside of it; and
so are last words, "otra vez" for "again", if it is what they usually become. Words of a dictionary, which have neither
capital nor mark there, are written as utterances too.

What is set off is written with every mark, as nobody knows with which it will be asked for, and there may be two of it
in all; last words with one that is drawn; words of a dictionary with a stop, as what is called may mean something else:
"para" is "for", and "¡Para!" is not.
"""

import random
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from training.copying import Pair
from training.links import link_words
from training.uncapitalised import Uncapitalised
from translator.alignment import Link, Span

LONGEST, LONGEST_ENTRY = 5, 2  # words of an excerpt, of an entry of a dictionary
LONGEST_TAG = 3  # words of what may ask nothing by itself, as "aren't you?"
MOST_ALIKE = 12  # times the same excerpt is taken
MARKS = (".", "!", "")  # that an excerpt ends in; a question keeps its own
DRAWN_MARKS = (".", ".", "!", "!", "")  # for last words, as often
LONGEST_END = 2  # last words that are taken out together
LEAST_ENDS, USUALLY = 3, 0.25  # times they must have become the same, and its share
LONGEST_ABBREVIATION = 3  # letters; what is longer and has a stop behind it ends a sentence
_SETS_OFF, _FORBIDDEN = frozenset(",;:!?…¡¿"), frozenset('"“”„«»()')


class _Part(NamedTuple):
    """Words of one side between marks.

    Args:
        words: Their numbers.
        text: From the first to the last.
        asks: Whether a question mark follows.
    """

    words: range
    text: str
    asks: bool


def excerpts(
    pairs: Sequence[Pair], links: Sequence[set[Link]], languages: tuple[str, str], chance: random.Random
) -> list[Pair]:
    """Returns utterances that are parts of the pairs, and such of two words that have no mark.

    Args:
        pairs: Sentence pairs.
        links: Of the words of each (`training.links.link_words`).
        languages: Of source and target; they decide how a mark is written.
        chance: Decides which mark last words have.

    Example:
        >>> excerpts([("Non, merci bien.", "No, thanks.")], [{(0, 0), (2, 2)}], ("fr", "en"), random.Random())[:4]
        [('Non.', 'No.'), ('Non !', 'No!'), ('Non', 'No'), ('Merci bien.', 'Thanks.')]
    """
    inner = Uncapitalised(source for source, _ in pairs), Uncapitalised(target for _, target in pairs)
    made, taken = list[Pair](), Counter[Pair]()
    found: list[tuple[_Part, _Part, str]]  # with its mark
    endings = [_ends(pair, linked) for pair, linked in zip(pairs, links, strict=True)]
    usual = _usual(endings)
    said_alone = {source for source, _ in usual}
    for pair, linked, ends in zip(pairs, links, endings, strict=True):
        parts = _excerpts(pair, linked)
        found = [(*part, mark) for part in parts for mark in (("?",) if part[0].asks else MARKS)]
        found += [(*end, chance.choice(DRAWN_MARKS)) for end in ends if _texts(end) in usual]
        entry = all(len(side.split()) <= LONGEST_ENTRY and side[-1:].isalpha() for side in pair)
        if entry and pair[0] not in said_alone:  # a dictionary has what a word may mean besides
            found = [(_whole(pair[0]), _whole(pair[1]), ".")]
        for source, target, mark in found:
            said = (_uttered(source, mark, languages[0], inner[0]), _uttered(target, mark, languages[1], inner[1]))
            taken[said] += 1
            if taken[said] <= MOST_ALIKE:
                made.append(said)
    return made


def _excerpts(pair: Pair, links: set[Link]) -> list[tuple[_Part, _Part]]:
    """Parts of both sides that belong together: no link leads out of them, and of the words of either half have one."""
    sources, targets = map(_parts, pair)
    if len(sources) < 2 or len(targets) < 2:
        return []
    found = list[tuple[_Part, _Part]]()
    for source in sources:
        inside = {target for word, target in links if word in source.words}
        target = next((part for part in targets if inside and min(inside) in part.words), None)
        if target is None or source.asks != target.asks or max(len(source.words), len(target.words)) > LONGEST:
            continue
        back = {word for word, at in links if at in target.words}
        if source.asks and min(len(source.words), len(target.words)) <= LONGEST_TAG:
            continue
        closed = inside <= set(target.words) and back <= set(source.words)
        told = 2 * len(back) >= len(source.words) and 2 * len(inside) >= len(target.words)
        if closed and told and not _FORBIDDEN & set(source.text + target.text):
            found.append((source, target))
    return found


def _usual(endings: Sequence[list[tuple[_Part, _Part]]]) -> set[Pair]:
    """What last words of the sources usually become."""
    counts = Counter(_texts(end) for ends in endings for end in ends)
    became = Counter[str]()
    for (source, _), count in counts.items():
        became[source] += count
    return {each for each, count in counts.items() if count >= LEAST_ENDS and count >= USUALLY * became[each[0]]}


def _ends(pair: Pair, links: set[Link]) -> list[tuple[_Part, _Part]]:
    """The last one or two words of a sentence and those of its translation, if they are linked with each other alone.

    The words before them are linked too: else they might belong to them, as "de" does to "nuevo".
    """
    (source, source_words), (target, target_words) = ((_parts(side), link_words(side)) for side in pair)
    found = list[tuple[_Part, _Part]]()
    if len(source) != 1 or len(target) != 1 or source[0].asks or target[0].asks or _FORBIDDEN & set(pair[0] + pair[1]):
        return found  # a statement of one part
    last, end = source[0].words.stop, target[0].words.stop
    for count in range(1, min(LONGEST_END, last - 1) + 1):
        inside = {at for word, at in links if last - count <= word < last}
        if not inside or max(inside) != end - 1 or end - min(inside) > LONGEST_END or min(inside) == 0:
            continue
        if any(word < last - count for word, at in links if at in range(min(inside), end)):
            continue
        words, places = zip(*links, strict=True)
        if last - count - 1 not in words or min(inside) - 1 not in places:
            continue
        found.append(
            (
                _Part(
                    range(last - count, last), pair[0][source_words[last - count][0] : source_words[last - 1][1]], False
                ),
                _Part(range(min(inside), end), pair[1][target_words[min(inside)][0] : target_words[end - 1][1]], False),
            )
        )
    return found


def _texts(parts: tuple[_Part, _Part]) -> Pair:
    return parts[0].text, parts[1].text


def _parts(text: str) -> list[_Part]:
    spans, parts, first = link_words(text), list[_Part](), 0
    marks = [_sets_off(text, spans, number) for number in range(len(spans))]
    for number in range(len(spans) + 1):  # behind the last word it ends as well
        if number < len(spans) and not marks[number]:
            continue
        if number > first:
            asks = number < len(spans) and "?" in text[slice(*spans[number])]
            parts.append(_Part(range(first, number), text[spans[first][0] : spans[number - 1][1]], asks))
        first = number + 1
    return parts


def _sets_off(text: str, spans: Sequence[Span], number: int) -> bool:
    mark = text[slice(*spans[number])]
    if set(mark) != {"."}:
        return _SETS_OFF.issuperset(mark)
    start, end = spans[number - 1] if number else (0, 0)
    return number + 1 == len(spans) or end - start > LONGEST_ABBREVIATION


def _whole(text: str) -> _Part:
    return _Part(range(len(text.split())), text, False)


def _uttered(part: _Part, mark: str, language: str, inner: Uncapitalised) -> str:
    """The text with a mark, as its language writes it, and a capital; without a mark as it stands in a sentence."""
    text = part.text
    if not mark:
        return text if part.words.start else inner(text)  # within a sentence a capital means something
    opening = {"!": "¡", "?": "¿"}.get(mark, "") if language == "es" else ""
    space = " " if language == "fr" and mark != "." else ""
    return opening + text[:1].upper() + text[1:] + space + mark
