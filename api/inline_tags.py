"""Where inline tags go in a translation: to the words that came from theirs. Offsets only; knows no HTML.

Every target word belongs to the source word it looked at most, and with it to the tag around that word. A tag goes
round the longest run of words that are its own; words of no tag may lie inside a run, words of another tag end it. So
tags never overlap, and inside a tag the same is done with the tags it holds.

Source: Müller 2017, "Treatment of Markup in Statistical Machine Translation", for tags that go back by alignment; the
rule is our own.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

Node = TypeVar("Node")
Span = tuple[int, int]


@dataclass(eq=False)
class Tag(Generic[Node]):
    """A tag in the text that is translated.

    Args:
        node: What it stands for.
        start: Offset of the first character inside it.
        end: One past the last; equal to `start` for what holds no text, such as an image.
        mark: The one character that stands for it, of what is copied whole; empty otherwise.
        follows_space: Whether white space stood before it.
        precedes_space: Whether white space stood on both sides of it, of which the text has only that before.
        inner: Tags within it, in their order.
    """

    node: Node
    start: int
    end: int
    mark: str = ""
    follows_space: bool = False
    precedes_space: bool = False
    inner: list["Tag[Node]"] = field(default_factory=list)


class Word(NamedTuple):
    """A target word and the source word that it looked at most, as offsets."""

    source: Span
    target: Span


@dataclass(frozen=True)
class Placed(Generic[Node]):
    """A tag and where it goes in the translation, with the tags within."""

    tag: Tag[Node]
    start: int
    end: int
    inner: tuple["Placed[Node]", ...]


def place(
    tags: Sequence[Tag[Node]], words: Sequence[Word], *, source: str, target: str, within: Span, origin: Span
) -> tuple[Placed[Node], ...]:
    """Places tags that stand beside each other.

    Args:
        tags: In their order in the source.
        words: In the order of the target.
        source: The text that was translated.
        target: Its translation.
        within: The part of `target` that is theirs.
        origin: The part of `source` that they lie in.

    Returns:
        Every tag once, in the order of the target; they do not overlap and leave no room.
    """
    if not tags:
        return ()
    begin = bisect_left(words, within[0], key=lambda word: word.target[0])
    mine = words[begin : bisect_right(words, within[1], lo=begin, key=lambda word: word.target[1])]
    by_source, runs = sorted(mine), _longest_runs(_owners(tags, mine))
    text = source[slice(*origin)]
    first, last = origin[0] + len(text) - len(text.lstrip()), origin[0] + len(text.rstrip())
    places: list[tuple[int, int, Tag[Node]]] = []
    for number, tag in enumerate(tags):
        if tag.mark and (found := target.find(tag.mark, *within)) >= 0:
            places.append((found, found + 1, tag))
        elif tag.end > tag.start and tag.start <= first and last <= tag.end:
            places.append((*within, tag))  # it holds all there is
        elif number in runs:
            begins, ends = runs[number]
            places.append((mine[begins].target[0], mine[ends].target[1], tag))
        else:
            # What stood at either end stays there.
            point = within[0] if tag.start <= first else within[1] if tag.start >= last else None
            point = _point(tag, by_source, source, within) if point is None else point
            places.append((point, point, tag))
    placed, reached = [], within[0]
    for start, end, tag in sorted(places, key=lambda found: found[:2]):
        start = max(start, reached)
        reached = end = max(start, end)
        inner = place(tag.inner, mine, source=source, target=target, within=(start, end), origin=(tag.start, tag.end))
        placed.append(Placed(tag, start, end, inner))
    return tuple(placed)


def _owners(tags: Sequence[Tag[Node]], words: Sequence[Word]) -> list[int | None]:
    """Returns for each word the number of the tag around the middle of its source word; tags do not overlap."""
    holding = [number for number, tag in enumerate(tags) if tag.end > tag.start]
    starts = [tags[number].start for number in holding]
    owners: list[int | None] = []
    for word in words:
        middle = sum(word.source) / 2
        found = bisect_right(starts, middle) - 1
        owners.append(holding[found] if found >= 0 and middle < tags[holding[found]].end else None)
    return owners


def _longest_runs(owners: Sequence[int | None]) -> dict[int, Span]:
    """Returns for each owner the first and last word of the run that holds most of its words, the first of equals."""
    best: dict[int, tuple[int, Span]] = {}
    current, first, count = None, 0, 0
    for position, owner in enumerate(owners):
        if owner is None:
            continue
        if owner != current:
            current, first, count = owner, position, 0
        count += 1
        if owner not in best or count > best[owner][0]:
            best[owner] = (count, (first, position))
    return {owner: run for owner, (_, run) in best.items()}


def _point(tag: Tag[Node], by_source: Sequence[Word], source: str, within: Span) -> int:
    """Returns where something without words of its own goes: behind the word before it.

    What touches only the word behind it goes before that one.
    """
    behind = bisect_left(by_source, tag.start, key=lambda word: word.source[0])
    touches_next = tag.follows_space and not tag.precedes_space and source[tag.start].isalnum()
    if touches_next and behind < len(by_source):
        return by_source[behind].target[0]
    before = bisect_right(by_source, tag.start, key=lambda word: word.source[1])
    return by_source[before - 1].target[1] if before else within[0]
