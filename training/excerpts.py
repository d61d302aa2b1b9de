"""What stands between commas, as an utterance of its own: from "Non, merci !" there is "Non !" to be learnt.

Corpora have calls of a word or two inside of sentences more often than alone, and a translator is asked for them alone.
A part of a sentence is taken out where marks set it off on both sides and the links of its words stay inside of it; and
so are last words, "otra vez" for "again", if it is what they usually become. A name that somebody is called by is taken
away, also where one side alone sets it off: "How are you?" from "How are you, Tom?", and "Hola" from "Hola Tom". Words
of a dictionary, which have neither capital nor mark there, are written as utterances too.

What is set off is written with every mark, as nobody knows with which it will be asked for, and there may be two of it
in all; without one, with a capital as often as without; a short sentence with the mark that it has not; last words with
one that is drawn; words of a dictionary with a stop, as what is called may mean something else: "para" is "for", and
"¡Para!" is not. What is short and set off is taken several times. What is often said by itself is neither read from
last words nor from a dictionary: "Wait!" is no infinitive.
"""

import random
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from training.copying import Pair
from training.links import link_words
from training.uncapitalised import Uncapitalised
from translator.alignment import Link, Span

LONGEST, LONGEST_ENTRY = 5, 2  # words of an excerpt, of an entry of a dictionary
PAIR = 2  # words of "Hola Tom", of which the last may be a name
LONGEST_WHOLE = 4  # words of a sentence that is said with another mark
LONGEST_TAG = 3  # words of what may ask nothing by itself, as "aren't you?"
MOST_ALIKE = 12  # times the same excerpt is taken
FEW, LEAST_ALIKE = 3, 4  # words of what is said all day long, and times it is taken for one: corpora have it too seldom
MARKS = (".", "!", "")  # that an excerpt ends in; a question keeps its own
DRAWN_MARKS = (".", ".", "!", "!", "")  # for last words, as often
LONGEST_END = 2  # last words that are taken out together
LEAST_ENDS, USUALLY = 3, 0.25  # times they must have become the same, and its share
LEAST_SAID = 3  # times that something is said by itself, so that neither last words nor a dictionary tell more of it
ENTRIES = 0.3  # share of a dictionary's entries that are said, as the corpus has them already
LONGEST_ABBREVIATION = 3  # letters; what is longer and has a stop behind it ends a sentence
_SETS_OFF, _FORBIDDEN = frozenset(",;:!?…¡¿"), frozenset('"“”„«»()')


class _Part(NamedTuple):
    """Words of one side between marks.

    Args:
        words: Their numbers.
        text: From the first to the last.
        asks: Whether a question mark follows, or follows the name that somebody is called by.
        calls: Whether it is such a name.
    """

    words: range
    text: str
    asks: bool
    calls: bool = False


def excerpts(
    pairs: Sequence[Pair], links: Sequence[set[Link]], languages: tuple[str, str], chance: random.Random
) -> list[Pair]:
    """Returns utterances that are parts of the pairs, short ones with another mark, and entries of a dictionary.

    Args:
        pairs: Sentence pairs.
        links: Of the words of each (`training.links.link_words`).
        languages: Of source and target; they decide how a mark is written.
        chance: Decides which mark last words have, where there is a capital without a mark, and which entries are said.

    Example:
        >>> excerpts([("Non, merci bien.", "No, thanks.")], [{(0, 0), (2, 2)}], ("fr", "en"), random.Random())[:2]
        [('Non.', 'No.'), ('Non !', 'No!')]
    """
    inner = Uncapitalised(source for source, _ in pairs), Uncapitalised(target for _, target in pairs)
    set_off = [_set_off(pair, linked, inner) for pair, linked in zip(pairs, links, strict=True)]
    whole = [_sentence(pair) for pair in pairs]
    times = Counter(source.text.casefold() for source, _ in (*chain.from_iterable(set_off), *filter(None, whole)))
    said = {text for text, count in times.items() if count >= LEAST_SAID}
    endings = [
        [end for end in _ends(pair, linked) if not _is_entry(pair) and end[0].text.casefold() not in said]
        for pair, linked in zip(pairs, links, strict=True)
    ]
    usual = _usual(endings)
    said |= {source.casefold() for source, _ in usual}
    made = Counter[Pair]()
    for pair, parts, sentence, ends in zip(pairs, set_off, whole, endings, strict=True):
        found = [(*part, mark) for part in parts for mark in (("?",) if part[0].asks else MARKS)]
        found += [(*end, chance.choice(DRAWN_MARKS)) for end in ends if _texts(end) in usual]
        if sentence:
            found.append((*sentence, "." if pair[0].endswith("!") else "!"))
        if _is_entry(pair) and pair[0].casefold() not in said and chance.random() < ENTRIES:
            found = [(_whole(pair[0]), _whole(pair[1]), ".")]  # a dictionary has what a word may mean besides
        for source, target, mark in found:
            capital = bool(mark) or chance.random() < 0.5
            made[
                _uttered(source, mark, languages[0], inner[0], capital),
                _uttered(target, mark, languages[1], inner[1], capital),
            ] += LEAST_ALIKE if (source, target) in parts and len(source.words) <= FEW else 1
    return [each for each, count in made.items() for _ in range(min(count, MOST_ALIKE))]


def _is_entry(pair: Pair) -> bool:
    return all(len(side.split()) <= LONGEST_ENTRY and side[-1:].isalpha() for side in pair)


def _set_off(pair: Pair, links: set[Link], inner: tuple[Uncapitalised, Uncapitalised]) -> list[tuple[_Part, _Part]]:
    """Parts of both sides that belong together: no link leads out of them, and of the words of either half have one."""
    sources, targets = _sides(pair, inner)
    if len(sources) < 2 or len(targets) < 2:
        return []
    found = list[tuple[_Part, _Part]]()
    for number, source in enumerate(sources):
        inside = {target for word, target in links if word in source.words}
        target = next((part for part in targets if inside and min(inside) in part.words), None)
        if target is None or source.asks != target.asks or max(len(source.words), len(target.words)) > LONGEST:
            continue
        back = {word for word, at in links if at in target.words}
        short = min(len(source.words), len(target.words)) <= LONGEST_TAG
        if source.asks and short and not all(part.calls for part in sources[:number]):
            continue  # a tag
        closed = inside <= set(target.words) and back <= set(source.words)
        told = 2 * len(back) >= len(source.words) and 2 * len(inside) >= len(target.words)
        if closed and told and not source.calls and not _FORBIDDEN & set(source.text + target.text):
            found.append((source, target))
    return found


def _sides(pair: Pair, inner: tuple[Uncapitalised, Uncapitalised]) -> tuple[list[_Part], list[_Part]]:
    """Parts of both sides, where names that somebody is called by are told from the rest.

    Such a name is a word of both sides with the capital of a name. Marks set it off on both, or on one of them behind
    something else while it follows a single word on the other: "Hello, Tom" and "Hola Tom".
    """
    sides = [_parts(text) for text in pair]
    alone = [{part.text for part in side if len(part.words) == 1} for side in sides]
    behind = [{part.text for part in side[1:] if len(part.words) == 1} for side in sides]
    pairs = [{part.text.split()[-1] for part in side if len(part.words) == PAIR} for side in sides]
    names = alone[0] & alone[1] | behind[0] & pairs[1] | behind[1] & pairs[0]
    names = {name for name in names if not name.isupper() and all(text.is_name(name) for text in inner)}
    return _calling(pair[0], sides[0], names), _calling(pair[1], sides[1], names)


def _calling(text: str, parts: list[_Part], names: set[str]) -> list[_Part]:
    """The parts, where names are told from the rest; what stands before them asks what they ask."""
    if not names:
        return parts
    spans, told = link_words(text), list[_Part]()
    for part in parts:
        first, stop = part.words.start, part.words.stop
        called = text[slice(*spans[stop - 1])] in names
        if called and len(part.words) == PAIR:
            told.append(part._replace(words=range(first, stop - 1), text=text[slice(*spans[first])]))
            part = part._replace(words=range(stop - 1, stop), text=text[slice(*spans[stop - 1])])
        told.append(part._replace(calls=called and len(part.words) == 1))
    asks = False
    for place in range(len(told) - 1, -1, -1):
        told[place] = told[place]._replace(asks=told[place].asks or asks)
        asks = told[place].calls and told[place].asks
    return told


def _sentence(pair: Pair) -> tuple[_Part, _Part] | None:
    """Both sides, if they are short sentences of one part with a stop or an exclamation mark."""
    (source, *more), (target, *others) = (_parts(side) or [_whole("")] for side in pair)
    if more or others or source.asks or target.asks or _FORBIDDEN & set(pair[0] + pair[1]):
        return None
    short = 0 < max(len(source.words), len(target.words)) <= LONGEST_WHOLE
    return (source, target) if short and all(side[-1] in ".!" for side in pair) else None


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


def _uttered(part: _Part, mark: str, language: str, inner: Uncapitalised, capital: bool) -> str:
    """The text with a mark, as its language writes it, and a capital; without both as it stands in a sentence."""
    text = part.text
    if not mark and not capital:
        return text if part.words.start else inner(text)  # within a sentence a capital means something
    opening = {"!": "¡", "?": "¿"}.get(mark, "") if language == "es" else ""
    space = " " if language == "fr" and mark in ("!", "?") else ""
    return opening + text[:1].upper() + text[1:] + space + mark
