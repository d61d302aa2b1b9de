"""Through a third language: which way is taken, and that what is said of the answer is told of the text as it came."""

from collections.abc import Sequence

import pytest

from tests.translator.conftest import make_trilingual
from translator.alignment import AlignedWords
from translator.confidence import Evidence
from translator.config import DecodingOptions
from translator.errors import LanguageError
from translator.pivot import find_pivot, joined, legs, reachable
from translator.translation import SentenceScore, Translation, TranslationRequest

TAUGHT = (("en", "de"), ("de", "en"), ("en", "fr"), ("fr", "en"))
EVIDENCE = Evidence(-0.5, -1.0, -0.1, 1.0)


def sentence(source: tuple[int, int], target: tuple[int, int], score: float, sure: float | None) -> SentenceScore:
    return SentenceScore(*source, *target, score, EVIDENCE, sure)


def test_a_language_between_leads_on() -> None:
    assert find_pivot(TAUGHT, "de", "fr") == "en"
    assert find_pivot(TAUGHT, "de", "es") is None
    assert find_pivot([("de", "nl"), ("nl", "fr"), ("de", "en"), ("en", "fr")], "de", "fr") == "en"
    assert reachable(TAUGHT) == (*TAUGHT, ("de", "fr"), ("fr", "de"))
    assert reachable((("en", "de"),)) == (("en", "de"),)
    assert reachable((("en", "de"), ("de", "en"))) == (("en", "de"), ("de", "en"))  # not from a language to itself


def test_word_links_are_followed_through_the_words_between() -> None:
    # Das Haus -> The house -> La maison, and "the" also looks at "Haus" a little.
    first = Translation(
        "The house", "de", "en", "Das Haus", score=-0.5, warnings=("one",),
        sentences=(sentence((0, 8), (0, 9), -0.5, 0.8),),
        alignment=(AlignedWords(0, 3, 0, 3, 0.9), AlignedWords(4, 8, 0, 3, 0.1), AlignedWords(4, 8, 4, 9, 0.8)),
    )  # fmt: skip
    second = Translation(
        "La maison", "en", "fr", "The house", score=-0.25, warnings=("one", "two"), alternatives=("Une maison",),
        sentences=(sentence((0, 9), (0, 9), -0.25, 0.5),),
        alignment=(AlignedWords(0, 3, 0, 2, 1.0), AlignedWords(4, 9, 3, 9, 0.5)),
    )  # fmt: skip
    whole = joined(first, second)
    assert (whole.text, whole.source, whole.target, whole.source_text) == ("La maison", "de", "fr", "Das Haus")
    assert whole.score == -0.75
    assert whole.warnings == ("one", "two")
    assert whole.alternatives == ("Une maison",)
    assert whole.confidence == pytest.approx(0.4)
    assert whole.sentences == (sentence((0, 8), (0, 9), -0.75, whole.confidence),)
    assert [(link.source_start, link.target_start) for link in whole.alignment] == [(0, 0), (4, 3)]
    assert [link.weight for link in whole.alignment] == pytest.approx([0.9, 0.4])


def test_sentences_are_led_back_to_those_they_came_from() -> None:
    first = Translation(
        "A. B. C", "de", "en", "a! b! c",
        sentences=tuple(sentence((n, n + 2), (n, n + 2), -1.0, 0.5) for n in (0, 3)),
    )  # fmt: skip
    second = Translation(
        "AB. C", "en", "fr", "A. B. C",
        sentences=(sentence((0, 5), (0, 3), -2.0, 0.5), sentence((6, 7), (4, 5), -3.0, 0.5)),
    )  # fmt: skip
    both, copied = joined(first, second).sentences
    assert (both.source_start, both.source_end, both.score, both.confidence) == (0, 5, -3.0, 0.125)
    assert (copied.source_start, copied.source_end, copied.confidence) == (0, len("a! b! c"), 0.5)


def test_only_what_has_no_way_of_its_own_goes_twice() -> None:
    requests = [
        TranslationRequest("a", "en", "de"),
        TranslationRequest("b", "de", "fr"),
        TranslationRequest("c", "fr", "de", detailed=False),
    ]
    ways = legs(requests, TAUGHT)
    assert next(ways) == [("a", "en", "de", True), ("b", "de", "en", True), ("c", "fr", "en", False)]
    assert ways.send(answers(["a", "b", "c"])) == [("b!", "en", "fr", True), ("c!", "en", "de", False)]
    with pytest.raises(StopIteration) as end:
        ways.send(answers(["b!", "c!"]))
    assert [(found.text, found.source_text) for found in end.value.value] == [("a!", "a"), ("b!!", "b"), ("c!!", "c")]
    ways = legs(requests[:1], TAUGHT)
    next(ways)
    with pytest.raises(StopIteration):
        ways.send(answers(["a"]))


def answers(texts: Sequence[str]) -> list[Translation]:
    return [Translation(f"{text}!", "xx", "yy", text) for text in texts]


def test_a_model_translates_between_languages_it_was_never_taught_together() -> None:
    translator = make_trilingual(DecodingOptions(beam_size=2, max_length_ratio=1.0, max_length_margin=5))
    assert ("de", "fr") in translator.directions
    text = "Der Hund schläft hier.\n\nDie Katze wartet."
    [there] = translator.translate([text], source="de", target="en")
    [on] = translator.translate([there.text], source="en", target="fr")
    [both] = translator.translate([text], source="de", target="fr")
    assert both == joined(there, on)
    assert (both.source_text, both.text.count("\n\n")) == (text, 1)
    with pytest.raises(LanguageError, match="'de' to 'fr' was not taught; choose from: en to de, "):
        translator.score(["Hund"], ["chien"], source="de", target="fr")
