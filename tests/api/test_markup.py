"""HTML through the service: what goes out is well-formed, holds every tag once, and translates whole sentences."""

from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from justhtml import Element, JustHTML, Node, Text, to_html

from api.errors import InvalidRequestError
from api.markup import MOST_LEVELS, Markup, _parse
from tests.api.conftest import Service
from tests.api.fakes import FakeTranslator
from tests.api.test_inline_tags import spans
from translator.alignment import AlignedWords
from translator.translation import Translation

pytestmark = pytest.mark.anyio


def backwards(text: str) -> Translation:
    """A translation that turns the order of words round and says so."""
    words = text.split()
    target = " ".join(reversed(words))
    links = zip(reversed(spans(text)), spans(target), strict=True)
    alignment = tuple(AlignedWords(*source, *found, 1.0) for source, found in links)
    return Translation(target, "en", "de", text, alignment=alignment)


def through(html: str) -> str:
    page = Markup(html)
    return page.assemble([backwards(unit.text) for unit in page.units])


@pytest.mark.parametrize(
    ("html", "units"),
    [
        pytest.param("plain text", ["plain text"], id="no tag"),
        pytest.param("<p>One <b>whole</b> sentence.</p>", ["One whole sentence."], id="inline tags are lifted out"),
        pytest.param("<p>One</p><p>Two</p>", ["One", "Two"], id="blocks"),
        pytest.param("One<br>two", ["One", "two"], id="a line break"),
        pytest.param("<li>One<li>Two", ["One", "Two"], id="tags that end by themselves"),
        pytest.param("<a><div>One</div> two</a>", ["One", " two"], id="a block in an inline tag"),
        pytest.param("<p> One \n  <b> two</b>  </p>", [" One two "], id="white space as a reader sees it"),
        pytest.param("<pre>One\n  two</pre>", ["One\n  two"], id="white space that is meant"),
        pytest.param("<p>a&nbsp;b &lt;i&gt; &amp;</p>", ["a\xa0b <i> &"], id="entities are read"),
        pytest.param("<p>12:30</p><p>&nbsp;</p>", [], id="nothing to translate"),
        pytest.param("<script>let a</script><style>b</style><textarea>c</textarea>", [], id="not for people"),
        pytest.param("<p>Run <code>ls -l</code> now</p>", ["Run \ue100 now"], id="code is one character"),
        pytest.param('<p>My <i translate="no">Foo Bar</i></p>', ["My \ue100"], id="translate=no"),
        pytest.param('<p>My <i class="x notranslate">Foo</i></p>', ["My \ue100"], id="class notranslate"),
        pytest.param('<div translate="no"><p>One</p></div><p>Two</p>', ["Two"], id="a block that is left alone"),
        pytest.param("<p>An <img alt='x'> image<!-- no --></p>", ["An image"], id="images and comments leave no trace"),
        pytest.param("<p>\ue100 <code>x</code> y</p>", ["\ue100 \ue101 y"], id="a mark that the text holds itself"),
        pytest.param(
            "<!doctype html><title>One</title><body>Two <select><option>Three</select>",
            ["One", "Two ", "Three"],
            id="a whole page",
        ),
        pytest.param("<tr><td>One<td>Two", ["One", "Two"], id="a row without its table"),
    ],
)
def test_units_are_what_a_reader_reads_in_one_go(html: str, units: list[str]) -> None:
    assert [unit.text for unit in Markup(html).units] == units


@pytest.mark.parametrize(
    ("html", "translated"),
    [
        pytest.param("<p>one <b>two</b> three</p>", "<p>three <b>two</b> one</p>", id="a tag moves with its word"),
        pytest.param(
            '<p>one <a href="?a=1&amp;b" download>two <i>three</i></a></p>',
            '<p><a href="?a=1&amp;b" download><i>three</i> two</a> one</p>',
            id="a tag within a tag, attributes",
        ),
        pytest.param("one &lt;b&gt; two", "two &lt;b&gt; one", id="escaped text stays escaped"),
        pytest.param("run <code>a &amp; b</code> now", "now <code>a &amp; b</code> run", id="code moves whole"),
        pytest.param("one <img> two", "two one <img>", id="an image between its spaces"),
        pytest.param("one two <img>three", "<img>three two one", id="an image that touches the next word"),
        pytest.param("a CO<sub>2</sub>", "CO<sub>2</sub> a", id="a tag within a word that is copied"),
        pytest.param("one<sup>1</sup> two", "two one<sup>1</sup>", id="the mark of a footnote"),
        pytest.param("one <b>two", "<b>two</b> one", id="a tag that nobody closed"),
        pytest.param("<p dir=rtl>one <!-- x -->two", '<p dir="rtl"><!-- x -->two one</p>', id="a comment"),
        pytest.param("one<script>a<b</script> two", "two one<script>a<b</script>", id="a script"),
        pytest.param("<ul>\n<li>one two\n<li>3</ul>", "<ul>\n<li>two one</li><li>3</li></ul>", id="a list"),
    ],
)
def test_tags_come_back(html: str, translated: str) -> None:
    assert through(html) == translated


INLINE = [
    "one",
    "one <b>two</b> three",
    "<b>one</b> <i>two</i> <u>three</u>",
    "<b><i><u>one two</u></i></b> three",
    "one <a href='?x=1&amp;y=2' title='a &quot;b&quot;'>two three</a>, four.",
    "<a href=x>one <b>two</a> three</b> four",
    "one <img src=x alt='y'> two",
    "one<br>two<br/>three",
    "&lt;b&gt;one&lt;/b&gt; &amp;amp; two &eacute; &#x1F600;",
    "one <code>&lt;two&gt;</code> three <kbd>F1</kbd>",
    "one <span translate=no>two three</span> four",
    "<!-- before -->one<!-- within --> two<!-- after -->",
    "one <b></b> two <i> </i> three",
    "<bdo dir=rtl>one</bdo> <bdi>two</bdi> שלום",
    "one <script>if (a < b) c()</script> two",
    "one <svg viewBox='0 0 1 1'><path d='M0 0'/></svg> two",
    "one <custom-tag data-x=1>two</custom-tag> three",
    "one <b>two <i>three <u>four <s>five</s></u></i></b> six",
    "one </b> two </p> three",
    "one < two > three & four",
    "one <a>two <div>three</div> four</a> five",
    "  one \n\t <em> two </em> \n three  ",
    "one <input value=x> <button>two</button> three",
    "1 <b>2</b> 3",
    "one <b onclick='a()'>two</b><sup>1</sup>, three",
]
AROUND = [
    "{}",
    "<p>{}</p>",
    "<div class='a b'><blockquote>{}</blockquote>before</div>",
    "<ul><li>{}<li>next</ul>",
    "<table><caption>c</caption><tr><th>h<td>{}</table>",
    "<!doctype html><html lang=en><head><title>t</title></head><body>{}</body></html>",
    "<h1 id=x dir=rtl>{}</h1><hr>",
    "<section><p>{}",
]
FRAGMENTS = [around.format(inline) for inline, around in product(INLINE, AROUND)]


def tags(html: str) -> Counter[str]:
    """Every element and comment, with its attributes."""
    found: Counter[str] = Counter()
    level: list[Node | Text] = [_parse(html)]
    while level:
        node = level.pop()
        if isinstance(node, Element):
            found[f"{node.name} {sorted((node.attrs or {}).items())}"] += 1
        elif node.name == "#comment":
            found[f"comment {node.data}"] += 1
        level.extend(node.children or ())
    return found


def letters(html: str) -> Counter[str]:
    return Counter(character for character in _parse(html).to_text() if not character.isspace())


def test_there_are_two_hundred_fragments() -> None:
    assert len(set(FRAGMENTS)) == 200


@pytest.mark.parametrize("html", FRAGMENTS)
def test_fragments_are_well_formed_and_whole(html: str) -> None:
    page = Markup(html)
    out = page.assemble([backwards(unit.text) for unit in page.units])
    assert tags(out) == tags(html), "every tag once"
    assert letters(out) == letters(html), "every letter once, and none became markup"
    assert to_html(_parse(out), pretty=False) == out, "a parser reads what was meant"
    assert not any(mark in out for mark in ("\ue100", "\ue101"))


TREES = st.recursive(
    st.sampled_from(["one", " two ", "three. ", "&lt;i&gt;", "<img>", "<br>", "<!-- c -->", "<code>x y</code>", "7"]),
    lambda inner: st.builds(
        lambda name, parts: f"<{name}>{''.join(parts)}</{name}>",
        st.sampled_from(["b", "i", "a", "span", "div", "em", "blockquote", "u"]),
        st.lists(inner, max_size=4),
    ),
    max_leaves=20,
)


@given(html=TREES, source=st.integers(0, 3))
def test_any_tree_survives(html: str, source: int) -> None:
    page = Markup(html)
    # The aligner may know nothing of a word, or of any.
    given = [backwards(unit.text) for unit in page.units]
    thinned = [Translation(each.text, "en", "de", "", alignment=each.alignment[source:]) for each in given]
    out = page.assemble(thinned)
    assert tags(out) == tags(html)
    assert to_html(_parse(out), pretty=False) == out


def test_what_no_translation_came_for_stays() -> None:
    assert Markup("<p>one</p><p>two three").assemble([None, backwards("two three")]) == "<p>one</p><p>three two</p>"


def test_elements_too_deep_are_refused() -> None:
    assert Markup("<b>" * (MOST_LEVELS - 3) + "x").units
    with pytest.raises(InvalidRequestError, match="more than 100 elements within each other"):
        Markup("<div>" * 100_000)


@pytest.mark.parametrize("behind", ["text", "<p>text", "<!--"])
def test_many_comments_cost_nothing(behind: str) -> None:
    assert Markup("<!---->" * 10_000 + behind).html.endswith(behind)


@pytest.mark.parametrize(
    "html",
    [
        pytest.param('<p><b x="' + "y" * 10_000 + '"></p>' + "<p>1" * 2_000, id="one long tag"),
        pytest.param("".join(f"<b x{n}>" for n in range(90)) + "<p>1" * 5_000, id="many tags"),
        pytest.param("".join(f"<b x{n}></i>" for n in range(90)) + "<p>1" * 5_000, id="ends of others"),
    ],
)
def test_what_a_parser_would_blow_up_is_refused(html: str) -> None:
    with pytest.raises(InvalidRequestError, match="that nobody closed"):
        Markup(html)


@pytest.mark.parametrize(
    "html",
    [
        '<noscript><img src="t?a=1&amp;b=2"></noscript>',
        "<noframes><p>Hello</p></noframes>",
        "<xmp><b>Hello</b></xmp>",
        "<style>a > b {}</style>",
    ],
)
def test_what_is_not_text_stays_as_it_is(html: str) -> None:
    page = Markup(html)
    assert page.units == []
    assert page.assemble([]) == html


@pytest.mark.parametrize("piece", ["a<br>", "aa <img>", "<b>aa</b> ", "<sup>a<!----></sup> "])
def test_long_html_takes_no_longer_by_the_letter(piece: str) -> None:
    """Ten thousand pieces: what grew with their square took minutes, and would not end here."""
    assert through(piece * 10_000).count("<") == (piece * 10_000).count("<")


async def test_html_over_http(service: Service, translator: FakeTranslator) -> None:
    translator.answers["one two"] = backwards("one two")
    body = {"q": ["<p>one <b>two</b></p>", "", "<BR/>"], "source": "en", "target": "de", "format": "html"}
    async with service() as client:
        response = await client.post("/translate", json={**body, "alternatives": 1})
        same = await client.post("/translate", json={**body, "target": "en"})
    assert response.json() == {
        "translatedText": ["<p><b>two</b> one</p>", "", "<br>"],
        "alternatives": [[], [], []],
    }
    assert same.json()["translatedText"] == body["q"]
    assert translator.batches == [["one two"]]


async def test_html_is_detected_by_what_people_read(service: Service) -> None:
    q = "<p lang='en' title='what this is all about'>Wo ist <b>hier</b> der Bahnhof?</p>"
    async with service() as client:
        response = await client.post("/translate", json={"q": q, "source": "auto", "target": "en", "format": "html"})
    assert response.json()["detectedLanguage"]["language"] == "de"


@pytest.mark.parametrize("field", ["alignment", "scores"])
async def test_offsets_into_html_are_refused(service: Service, field: str) -> None:
    body = {"q": "<b>a</b>", "source": "en", "target": "de", "format": "html", field: True}
    async with service() as client:
        response = await client.post("/translate", json=body)
    assert (response.status_code, response.json()) == (
        400,
        {"error": "Invalid request: alignment and scores are said of text, not of html"},
    )


async def test_a_page_of_a_thousand_levels_is_refused(service: Service) -> None:
    body = {"q": "<div>" * 1000, "source": "en", "target": "de", "format": "html"}
    async with service() as client:
        response = await client.post("/translate", json=body)
    assert response.status_code == 400


def test_pages_are_parsed_as_pages() -> None:
    assert isinstance(_parse("<html><body>x"), type(JustHTML("x", sanitize=False).root))
