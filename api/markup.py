"""HTML in, HTML out: what is between tags is translated as whole sentences, and the tags go back where they belong.

A parser that follows the standard (justhtml) makes a tree of whatever came, so what goes out is well-formed. Texts of
blocks are units: inline tags are lifted out of them (`api.inline_tags` puts them back), and what must not be
translated, such as code, stands as one character that the model copies. Everything else in the tree stays as it is.

Source: the HTML standard, for what breaks a line by itself and for the translate attribute.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from justhtml import Element, JustHTML, Text, to_html
from justhtml import Node as AnyElement
from justhtml.parser.context import FragmentContext

from api.errors import InvalidRequestError
from api.inline_tags import Placed, Tag, Word, place

if TYPE_CHECKING:
    from translator.inference import Translation

Node = AnyElement | Text

MOST_LEVELS = 100
"""Elements within each other; people write ten, and a tree of thousands is an attack."""

_BLOCKS = """
    address article aside blockquote body br button caption center col colgroup dd details dialog dir div dl dt fieldset
    figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html legend li link main menu meta
    nav ol optgroup option p pre search section select summary table tbody td tfoot th thead title tr ul
"""
_UNTOUCHED = """
    area audio base canvas embed frame iframe img input map math meter noembed noframes noscript object param picture
    plaintext progress script source style svg template textarea track video wbr xmp
"""
BLOCKS, UNTOUCHED = frozenset(_BLOCKS.split()), frozenset(_UNTOUCHED.split())
COPIED = frozenset(["code", "kbd", "samp", "var"])
POINTS = UNTOUCHED | {"sup", "a"}  # what is left alone and stands beside a word, not in the place of one
INVISIBLE = frozenset(["area", "base", "map", "noscript", "param", "script", "source", "style", "template", "track"])
CONTEXTS = {"tr": "tbody", "td": "tr", "th": "tr", "tbody": "table", "thead": "table", "tfoot": "table"}
CONTEXTS |= {"caption": "table", "colgroup": "table", "col": "colgroup"}
FIRST_TAG = re.compile(r"<(!doctype|[a-z][a-z0-9]*)", re.IGNORECASE)
FORMATTING = re.compile(r"<(/?)(a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)\b[^>]*", re.IGNORECASE)
MOST_REOPENED = 2_000_000
"""Characters that a parser may have to write again: it reopens formatting that nobody closed in every later block."""
SPACES = re.compile(r"[ \t\n\r\f]+")  # what HTML shows as one space; a no-break space is not among them
MARKS = range(0xE100, 0xF900)  # characters that nobody means anything by; the translator's own lies below


@dataclass
class Unit:
    """Text that is translated as one, and the nodes it was in, which stand beside each other.

    Args:
        nodes: In their order.
        text: Of all of them, white space as a reader sees it.
        tags: The elements among them.
    """

    nodes: list[Node]
    text: str = ""
    tags: list[Tag[Node]] = field(default_factory=list)


class Markup:
    """One HTML text on its way through the translator.

    Args:
        html: A fragment, or a whole page.

    Raises:
        InvalidRequestError: Its elements lie too deep within each other.
    """

    def __init__(self, html: str) -> None:
        """Parses it and finds its units."""
        self._root = _parse(html)
        _refuse_depth(self._root)
        self.html, self._text = html, self._root.to_text()
        self.units = list(self._find_units(self._root, preserved=False))

    @property
    def text(self) -> str:
        """All that is to be translated, to tell its language by."""
        return "\n".join(unit.text for unit in self.units)

    def assemble(self, translations: Sequence["Translation | None"]) -> str:
        """Returns the HTML with every unit replaced by its translation, or left as it is for None."""
        by_parent: dict[int, list[tuple[Unit, Translation]]] = {}
        for unit, translation in zip(self.units, translations, strict=True):
            if translation is not None:
                by_parent.setdefault(id(unit.nodes[0].parent), []).append((unit, translation))
        for replaced in by_parent.values():
            _replace(replaced)
        return to_html(self._root, pretty=False)

    def _find_units(self, parent: AnyElement, *, preserved: bool) -> Iterator[Unit]:
        """Yields the units below an element, which is no inline one."""
        run: list[Node] = []
        for child in list(parent.children or ()):
            if not _holds_block(child):
                run.append(child)
                continue
            yield from self._unit(run, preserved=preserved)
            run = []
            if isinstance(child, AnyElement) and not _is_left_alone(child):
                yield from self._find_units(child, preserved=preserved or child.name == "pre")
        yield from self._unit(run, preserved=preserved)

    def _unit(self, nodes: list[Node], *, preserved: bool) -> Iterator[Unit]:
        """Yields the unit of these nodes if there is a letter in it."""
        unit = Unit(nodes)
        marks = (chr(code) for code in MARKS if chr(code) not in self._text)
        self._read(unit, nodes, unit.tags, marks, preserved=preserved)
        if any(map(str.isalpha, unit.text)):
            yield unit

    def _read(
        self, unit: Unit, nodes: Sequence[Node], tags: list[Tag[Node]], marks: Iterator[str], *, preserved: bool
    ) -> None:
        for node in nodes:
            if isinstance(node, Text):
                text = node.data or ""
                if not preserved:
                    text = SPACES.sub(" ", text)
                    if unit.text.endswith(" ") and text.startswith(" "):
                        text = text[1:]
                        if tags and tags[-1].start == len(unit.text):
                            tags[-1].precedes_space = True  # an image, say, between two spaces, of which one is left
                unit.text += text
                continue
            tag = Tag[Node](node, len(unit.text), len(unit.text), follows_space=unit.text[-1:].isspace())
            tags.append(tag)
            if _is_left_alone(node):
                if isinstance(node, Element) and node.name not in POINTS and node.to_text().strip():
                    tag.mark = next(marks, "")
                    unit.text += tag.mark
            else:
                self._read(unit, node.children or (), tag.inner, marks, preserved=preserved)
            tag.end = len(unit.text)


def _parse(html: str) -> AnyElement:
    """Returns the tree of a page, or of a fragment as it would be inside the element that its first tag asks for."""
    _refuse_growth(html)
    first = _first_tag(html)
    if first in ("!doctype", "html", "head", "body"):
        return JustHTML(html, sanitize=False, scripting_enabled=False).root
    context = FragmentContext(CONTEXTS.get(first, "div"))
    return JustHTML(html, sanitize=False, scripting_enabled=False, fragment_context=context).root


def _first_tag(html: str) -> str:
    """Returns the name of the tag that a text begins with, behind comments; "" if it begins with none."""
    place = len(html) - len(html.lstrip())
    while html.startswith("<!--", place):
        if (end := html.find("-->", place)) < 0:
            return ""
        place = end + len("-->")
        while html[place : place + 1].isspace():
            place += 1
    found = FIRST_TAG.match(html, place)
    return found[1].lower() if found else ""


def _refuse_growth(html: str) -> None:
    """Refuses what a parser would make many times as long; each open formatting tag may come again at every tag."""
    opened: dict[str, list[int]] = {}
    now = most = 0
    for found in FORMATTING.finditer(html):
        lengths = opened.setdefault(found[2].lower(), [])
        if not found[1]:
            lengths.append(len(found[0]))
            now += lengths[-1]
            most = max(most, now)
        elif lengths:
            now -= lengths.pop()
    if most * html.count("<") > MOST_REOPENED:
        raise InvalidRequestError("Invalid request: too many tags within each other that nobody closed; close them")


def _refuse_depth(root: AnyElement) -> None:
    level: list[Node] = [root]
    for _ in range(MOST_LEVELS):
        level = [child for node in level for child in node.children or ()]
        if not level:
            return
    raise InvalidRequestError(f"Invalid request: the markup has more than {MOST_LEVELS} elements within each other")


def _holds_block(node: Node) -> bool:
    """Whether a node breaks the text around it."""
    if not isinstance(node, Element):
        return False
    return node.name in BLOCKS or (not _is_left_alone(node) and any(map(_holds_block, node.children or ())))


def _is_left_alone(node: AnyElement) -> bool:
    """Whether an element, a comment or the like is kept as it is, with all that is in it."""
    if not isinstance(node, Element) or node.name in UNTOUCHED or node.name in COPIED:
        return True
    if node.name in ("sup", "a") and not any(map(str.isalpha if node.name == "sup" else str.isalnum, node.to_text())):
        return True  # the mark of a footnote
    attributes = node.attrs or {}
    classes = (attributes.get("class") or "").split()
    return (attributes.get("translate") or "").lower() == "no" or "notranslate" in classes


def _replace(replaced: Sequence[tuple[Unit, "Translation"]]) -> None:
    """Puts translations where the nodes of units were, all in one element."""
    parent = cast(AnyElement, replaced[0][0].nodes[0].parent)  # every unit lies in one, if only in the root
    fresh: dict[int, list[Node]] = {}
    for unit, translation in replaced:
        fresh |= {id(node): [] for node in unit.nodes}
        fresh[id(unit.nodes[0])] = _translated(unit, translation)
    children = list(parent.children or ())
    parent.children = []
    for child in children:
        child.parent = None
    for child in children:
        for node in fresh.get(id(child), [child]):
            parent.append_child(node)


def _translated(unit: Unit, translation: "Translation") -> list[Node]:
    """Returns the nodes of a unit's translation."""
    text = translation.text
    everything = (0, len(text))
    words = list(_words(translation))
    placed = place(unit.tags, words, source=unit.text, target=text, within=everything, origin=(0, len(unit.text)))
    marks = {ord(mark): None for mark in _marks(unit.tags)}
    return _nodes(placed, text, everything, marks)


def _nodes(placed: Sequence[Placed[Node]], text: str, within: tuple[int, int], marks: dict[int, None]) -> list[Node]:
    """Returns the nodes of a stretch of the translation: its text, and the tags in it with their own."""
    nodes: list[Node] = []
    reached = within[0]
    for found in (*placed, None):
        between = text[reached : found.start if found else within[1]].translate(marks)
        if between:
            nodes.append(Text(between))
        if found is None:
            break
        reached = found.end
        node = found.tag.node
        if isinstance(node, Element) and not _is_left_alone(node):
            for child in node.children:
                child.parent = None
            node.children = []
            for child in _nodes(found.inner, text, (found.start, found.end), marks):
                node.append_child(child)
        is_point = found.tag.start == found.tag.end and found.start > within[0]
        if is_point and found.tag.follows_space and _is_seen(node) and not text[found.start - 1].isspace():
            nodes.append(Text(" "))
        nodes.append(node)
    return nodes


def _is_seen(node: Node) -> bool:
    return isinstance(node, Element) and node.name not in INVISIBLE


def _marks(tags: Sequence[Tag[Node]]) -> Iterator[str]:
    for tag in tags:
        yield from tag.mark
        yield from _marks(tag.inner)


def _words(translation: "Translation") -> Iterator[Word]:
    """Yields every target word, or letter of one, with the source it looked at most, in the order of the target."""
    best: dict[tuple[int, int], tuple[float, tuple[int, int]]] = {}
    for link in translation.alignment:
        target, found = (link.target_start, link.target_end), (link.weight, (link.source_start, link.source_end))
        if target not in best or found[0] > best[target][0]:
            best[target] = found
    for target, (_, source) in sorted(best.items()):
        (start, end), (first, last) = source, target
        if translation.source_text[start:end] == translation.text[first:last]:
            # Copied as it is, so that a tag within it finds its characters: the 2 of CO2.
            yield from (Word((start + n, start + n + 1), (first + n, first + n + 1)) for n in range(end - start))
        else:
            yield Word(source, target)
