"""Where tags go, by hand-made alignments: no HTML, no model."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.inline_tags import Placed, Tag, Word, place


def spans(text: str) -> list[tuple[int, int]]:
    """The words of a text, as offsets."""
    found, reached = [], 0
    for word in text.split():
        start = text.index(word, reached)
        reached = start + len(word)
        found.append((start, reached))
    return found


def aligned(source: str, target: str, links: Sequence[int | None]) -> list[Word]:
    """Words of `target`, each with the number of the source word that it came from."""
    sources, targets = spans(source), spans(target)
    return [Word(sources[link], word) for word, link in zip(targets, links, strict=True) if link is not None]


def round_words(source: str, first: int, last: int, name: str, inner: Sequence[Tag[str]] = ()) -> Tag[str]:
    words = spans(source)
    return Tag(name, words[first][0], words[last][1], inner=list(inner))


def written(placed: Sequence[Placed[str]], text: str, within: tuple[int, int]) -> str:
    """The text with its tags in brackets: "a[b: c]"."""
    out, reached = "", within[0]
    for found in placed:
        out += text[reached : found.start] + f"[{found.tag.node}: "
        out += written(found.inner, text, (found.start, found.end)) + "]"
        reached = found.end
    return out + text[reached : within[1]]


def put(tags: Sequence[Tag[str]], source: str, target: str, links: Sequence[int | None]) -> str:
    whole = (0, len(target))
    words = aligned(source, target, links)
    placed = place(tags, words, source=source, target=target, within=whole, origin=(0, len(source)))
    return written(placed, target, whole)


SOURCE = "I have lost my keys"
TARGET = "Ich habe meine Schlüssel verloren"
LINKS = [0, 1, 3, 4, 2]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        pytest.param(
            [round_words(SOURCE, 3, 4, "a")],
            "Ich habe [a: meine Schlüssel] verloren",
            id="two that stay together",
        ),
        pytest.param([round_words(SOURCE, 2, 2, "b")], "Ich habe meine Schlüssel [b: verloren]", id="one that moves"),
        pytest.param(
            [round_words(SOURCE, 2, 2, "b"), round_words(SOURCE, 4, 4, "i")],
            "Ich habe meine [i: Schlüssel] [b: verloren]",
            id="two that change places",
        ),
        pytest.param(
            [round_words(SOURCE, 1, 2, "b")], "Ich [b: habe meine Schlüssel verloren]", id="untagged words lie inside"
        ),
        pytest.param(
            [round_words(SOURCE, 1, 2, "b"), round_words(SOURCE, 3, 3, "i")],
            "Ich [b: habe] [i: meine] Schlüssel verloren",
            id="another tag's words end a run; the first of equals is taken",
        ),
        pytest.param(
            [round_words(SOURCE, 2, 4, "a", [round_words(SOURCE, 3, 3, "i")])],
            "Ich habe [a: [i: meine] Schlüssel verloren]",
            id="a tag within a tag",
        ),
        pytest.param([round_words(SOURCE, 0, 4, "p")], f"[p: {TARGET}]", id="round everything"),
        pytest.param(
            [Tag("p", 0, len(SOURCE), inner=[round_words(SOURCE, 0, 4, "b")])],
            f"[p: [b: {TARGET}]]",
            id="two round everything",
        ),
        pytest.param([Tag("img", 0, 0)], f"[img: ]{TARGET}", id="an image in front"),
        pytest.param([Tag("img", len(SOURCE), len(SOURCE))], f"{TARGET}[img: ]", id="an image at the end"),
        pytest.param([Tag("img", 6, 6)], "Ich habe[img: ] meine Schlüssel verloren", id="an image that touches a word"),
        pytest.param(
            [Tag("img", 7, 7, follows_space=True)],
            "Ich habe meine Schlüssel [img: ]verloren",
            id="an image that touches the next word, which moves",
        ),
        pytest.param(
            [Tag("img", 7, 7, follows_space=True, precedes_space=True)],
            "Ich habe[img: ] meine Schlüssel verloren",
            id="an image between spaces stays with the word before",
        ),
    ],
)
def test_tags_go_where_their_words_went(tags: Sequence[Tag[str]], expected: str) -> None:
    assert put(tags, SOURCE, TARGET, LINKS) == expected


def test_a_tag_whose_words_left_no_trace_is_kept_empty() -> None:
    assert put([round_words(SOURCE, 3, 3, "i")], SOURCE, "Ich verlor Schlüssel", [0, 2, 4]) == (
        "Ich verlor[i: ] Schlüssel"
    )


def test_what_was_copied_is_found_by_its_mark() -> None:
    source, target = "Type \ue100 now", "Jetzt \ue100 tippen"
    tag = Tag("code", 5, 6, mark="\ue100")
    assert put([tag], source, target, [2, 0, 0]) == "Jetzt [code: \ue100] tippen"
    assert put([tag], source, "Jetzt tippen", [2, 0]) == "Jetzt tippen[code: ]", "lost, and put behind the word before"


@given(data=st.data())
def test_every_tag_is_placed_once_and_none_overlaps(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 8))
    source = " ".join("abcdefgh"[:size])
    links = data.draw(st.lists(st.none() | st.integers(0, size - 1), min_size=1, max_size=10))
    target = " ".join("x" * len(links))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(source)), min_size=2, max_size=8)))
    tags = [Tag(str(n), start, end) for n, (start, end) in enumerate(zip(cuts[::2], cuts[1::2], strict=False))]
    placed = place(
        tags,
        aligned(source, target, links),
        source=source,
        target=target,
        within=(0, len(target)),
        origin=(0, len(source)),
    )
    assert sorted(found.tag.node for found in placed) == sorted(tag.node for tag in tags)
    edges = [0, *(edge for found in placed for edge in (found.start, found.end)), len(target)]
    assert edges == sorted(edges)
