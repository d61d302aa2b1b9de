"""The facade: any text in, a translation of the same shape out, whoever else translates at the same time."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.translator.conftest import COMPUTE_TYPES
from translator.checkpoint import Checkpoint
from translator.compute_type import ComputeType, choose_compute_type
from translator.confidence import Calibration, Evidence
from translator.config import DecodingOptions
from translator.decoding import DecodingQueue, Ended
from translator.errors import CancelledError, CheckpointError, ConfigError, InputError, LanguageError
from translator.inference import Translation, TranslationRequest, Translator
from translator.threads import set_thread_count, thread_count

TEXTS = [
    "the small dog sleeps here. Why?",
    "  the old cat waits in the house.\n\n\tQuickly, jump over it!\n",
    "Why?",
    "the big horse eats by the sea and the small cat waits",
    "",
    "the small dog sleeps here.",
]
QUICK = DecodingOptions(beam_size=1, max_length_ratio=0.0, max_length_margin=3)


def one(translator: Translator, text: str, options: DecodingOptions | None = QUICK) -> Translation:
    (translation,) = translator.translate([text], source="en", target="de", options=options)
    return translation


def test_a_loaded_model_says_what_it_is(translator: Translator) -> None:
    assert (translator.name, translator.languages) == ("tiny", ("de", "en"))
    assert translator.directions == (("en", "de"), ("de", "en"))


def test_loading_can_set_the_threads(checkpoint_folder: Path) -> None:
    before = thread_count()
    try:
        Translator.load(checkpoint_folder, threads=1)
        assert thread_count() == torch.get_num_threads() == 1
    finally:
        set_thread_count(before)


def test_what_no_machine_has_is_refused(checkpoint_folder: Path) -> None:
    with pytest.raises(ConfigError, match="threads is 0, wanted 1 to 256"):
        Translator.load(checkpoint_folder, threads=0)
    before = thread_count()
    for strange in (1.5, "2", True):
        with pytest.raises(ConfigError, match=f"threads is {strange!r}, wanted 1 to 256"):
            Translator.load(checkpoint_folder, threads=strange)  # type: ignore[arg-type]
    assert thread_count() == before
    for device in ("cuda:99", "abacus"):
        with pytest.raises(ConfigError, match=f"device '{device}' is not to be had here"):
            Translator.load(checkpoint_folder, device=device)


@pytest.mark.parametrize("compute_type", COMPUTE_TYPES)
def test_loading_can_choose_the_arithmetic(checkpoint_folder: Path, compute_type: ComputeType) -> None:
    translator = Translator.load(checkpoint_folder, compute_type=compute_type)
    assert translator.compute_type == compute_type
    assert one(translator, "Why?").text


def test_the_quickest_arithmetic_is_taken_unasked(translator: Translator) -> None:
    assert translator.compute_type == choose_compute_type("auto", "cpu")


def test_offsets_of_a_scored_pair_are_those_of_the_texts_as_they_came(translator: Translator) -> None:
    source, target = "  the\tsmall dog ", "der  kleine\u00ad Hund "
    [scored] = translator.score([source], [target], source="en", target="de")
    assert (scored.source_text, scored.text) == (source, target)
    assert "".join(token.text for token in scored.tokens).replace(" ", "") == "derkleine\u00adHund"
    assert {target[link.target_start : link.target_end].strip("\u00ad") for link in scored.alignment} <= {
        "der",
        "kleine",
        "Hund",
    }
    assert {source[link.source_start : link.source_end] for link in scored.alignment} <= {"the", "small", "dog"}


def test_a_pair_is_scored_the_same_alone_and_among_others(translator: Translator) -> None:
    targets = [text[::-1] for text in TEXTS]
    together = translator.score(TEXTS, targets, source="en", target="de")
    assert translator.score([], [], source="en", target="de") == []
    for text, target, expected in zip(TEXTS, targets, together, strict=True):
        [alone] = translator.score([text], [target], source="en", target="de")
        assert alone.score == pytest.approx(expected.score, abs=1e-5)
        assert alone.alignment == expected.alignment


def test_a_text_where_a_list_belongs_is_refused(translator: Translator) -> None:
    with pytest.raises(TypeError, match=r"score\(\) takes lists of texts"):
        translator.score("Why?", "Warum?", source="en", target="de")
    with pytest.raises(TypeError, match=r"align\(\) takes each sentence as a list of words"):
        translator.align(["Why?"], ["Warum?"], source="en", target="de")


def test_words_are_aligned_in_the_words_they_come_in(translator: Translator) -> None:
    sources = [["the", "small", "dog", "sleeps", "here", "."], ["why", "?"], []]
    targets = [["der", "kleine", "Hund", "schläft", "hier", "."], ["warum", "?"], ["nichts"]]
    links = translator.align(sources, targets, source="en", target="de")
    assert any(links)
    assert links[2] == set()
    for found, source, target in zip(links, sources, targets, strict=True):
        assert all(0 <= one < len(source) and 0 <= other < len(target) for one, other in found)
    turned = translator.align(targets, sources, source="de", target="en")
    assert [{link[::-1] for link in found} for found in turned] == links


def test_a_model_of_one_direction_aligns_by_that_one(checkpoint: Checkpoint) -> None:
    manifest = replace(checkpoint.manifest, directions=(("en", "de"),))
    one_way = Translator(replace(checkpoint, manifest=manifest))
    [links] = one_way.align([["the", "dog"]], [["der", "Hund"]], source="en", target="de")
    assert len({target for _, target in links}) == len(links)  # at most one link for each target word


def test_sources_without_targets_are_refused(translator: Translator) -> None:
    with pytest.raises(InputError, match="2 sources came with 1 targets; give one for each"):
        translator.score(["a", "b"], ["c"], source="en", target="de")


def test_what_is_no_checkpoint_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        Translator.load(tmp_path)


def test_no_texts_are_no_translations(translator: Translator) -> None:
    assert translator.translate([], source="en", target="de") == []


def test_one_text_instead_of_a_list_is_refused(translator: Translator) -> None:
    with pytest.raises(TypeError, match="takes a list of texts; put the one text into a list"):
        translator.translate("Why?", source="en", target="de")


@pytest.mark.parametrize(
    ("source", "target", "sentence"),
    [
        pytest.param("xx", "de", "'xx' is not supported; choose from: de, en", id="unknown source"),
        pytest.param("en", "", "'' is not supported; choose from: de, en", id="empty target"),
        pytest.param("de", "de", "'de' to 'de' is not supported; choose from: en to de, ", id="no such direction"),
    ],
)
@pytest.mark.parametrize("texts", [["Why?"], []], ids=["a text", "no text"])
def test_a_direction_it_was_not_taught_is_refused(
    translator: Translator, source: str, target: str, sentence: str, texts: list[str]
) -> None:
    with pytest.raises(LanguageError, match=sentence):
        translator.translate(texts, source=source, target=target)


def test_an_item_that_is_no_text_is_named(translator: Translator) -> None:
    with pytest.raises(TypeError, match="Texts are str, and number 1 is bytes; decode it first"):
        translator.translate(["Why?", b"Why?"], source="en", target="de")  # type: ignore[list-item]


def test_one_request_of_an_unknown_language_refuses_them_all(translator: Translator) -> None:
    with pytest.raises(LanguageError, match="'fr' is not supported"):
        translator.translate_many([TranslationRequest("Why?", "en", "de"), TranslationRequest("Why?", "fr", "de")])


def test_sentences_of_the_same_pieces_are_searched_once_but_keep_their_own_characters(translator: Translator) -> None:
    told: list[tuple[int, int]] = []
    found = translator.translate(
        ["a \u2665", "a \u2603", "a \u2665"],
        source="en",
        target="de",
        options=QUICK,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(1, 1)]
    assert found[0] == found[2]
    for translation, own, other in ((found[0], "\u2665", "\u2603"), (found[1], "\u2603", "\u2665")):
        assert own in translation.text + "".join(translation.warnings)
        assert other not in translation.text + "".join(translation.warnings)


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_a_text_alone_equals_itself_among_others_in_any_order(translator: Translator, batch_size: int) -> None:
    alone = [translator.translate([text], source="en", target="de")[0] for text in TEXTS]
    backwards = translator.translate(TEXTS[::-1], source="en", target="de", batch_size=batch_size)[::-1]
    for found, expected in zip(backwards, alone, strict=True):
        assert_same(found, expected)


def assert_same(found: Translation, expected: Translation) -> None:
    """Equal, but for the last digits of what is measured."""
    assert (found.text, found.warnings, found.alternatives) == (expected.text, expected.warnings, expected.alternatives)
    assert found.score == pytest.approx(expected.score, abs=1e-4)
    log_probs = [token.log_prob for token in expected.tokens]
    assert [token.log_prob for token in found.tokens] == pytest.approx(log_probs, abs=1e-4)
    assert [link._replace(weight=0) for link in found.alignment] == [
        link._replace(weight=0) for link in expected.alignment
    ]


def test_directions_can_be_mixed_and_matter(translator: Translator) -> None:
    text = "Why? Zebrafink"
    requests = [TranslationRequest(text, "en", "de"), TranslationRequest(text, "de", "en")]
    found = translator.translate_many(requests)
    assert [(each.source, each.target) for each in found] == [("en", "de"), ("de", "en")]
    for translation, request in zip(found, requests, strict=True):
        assert_same(translation, translator.translate([text], source=request.source, target=request.target)[0])
    assert found[0].text != found[1].text


def test_without_details_all_else_is_the_same(translator: Translator) -> None:
    texts = [*TEXTS, "No, no, no!", "a 東京 dog and a 大阪 cat", "WHY DOES THE DOG SLEEP?"]
    full = translator.translate(texts, source="en", target="de")
    brief = translator.translate(texts, source="en", target="de", detailed=False)
    assert brief == [replace(each, tokens=(), alignment=()) for each in full]
    assert any(each.tokens and each.alignment for each in full)
    for translation in (each for each in full if "No" not in each.source_text):  # what is said again has more
        assert sum(each.token_count for each in translation.sentences) == len(translation.tokens)


def test_alternatives_differ_and_the_best_is_the_same_as_without(translator: Translator) -> None:
    options = DecodingOptions(beam_size=4, max_length_ratio=1.0, max_length_margin=5)
    best = one(translator, TEXTS[0], options)
    translation = one(translator, TEXTS[0], replace(options, n_best=4))
    assert 1 <= len(translation.alternatives) <= 3
    assert len({translation.text, *translation.alternatives}) == 1 + len(translation.alternatives)
    assert best.alternatives == ()
    assert best.text == translation.text


def test_hypotheses_that_read_alike_are_one_alternative(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = DecodingOptions(beam_size=4, n_best=2, max_length_ratio=1.0, max_length_margin=5)
    expected = one(translator, "Why?", options)
    assert len(expected.alternatives) == 1

    advance = DecodingQueue.advance

    def every_answer_twice(self: DecodingQueue) -> list[Ended]:
        return [
            each._replace(hypotheses=[same for same in each.hypotheses for _ in range(2)]) for each in advance(self)
        ]

    monkeypatch.setattr(DecodingQueue, "advance", every_answer_twice)
    assert one(translator, "Why?", options) == expected


def test_without_options_the_checkpoint_decides(translator: Translator) -> None:
    assert one(translator, TEXTS[0], None) == one(translator, TEXTS[0], translator.manifest.decoding)
    assert one(translator, TEXTS[0], None) != one(translator, TEXTS[0], QUICK)


def test_confidence_is_told_of_the_search_it_was_fitted_with(checkpoint: Checkpoint) -> None:
    curve = Calibration(
        source="en", target="de", bias=0.5, weights=Evidence(1.0, 0.0, 0.0, 0.0), right=60.0, test_set="dev",
        sentences=100, expected_calibration_error=0.0,
    )  # fmt: skip
    translator = Translator(replace(checkpoint, manifest=replace(checkpoint.manifest, calibrations=(curve,))))
    search = checkpoint.manifest.decoding
    for options, is_told in ((None, True), (replace(search, n_best=2), True), (replace(search, beam_size=1), False)):
        answer = one(translator, "Why?", options)
        assert (answer.confidence is not None) is is_told
        assert (answer.confidence is None) or 0 < answer.confidence < 1
    [back] = translator.translate(["Warum?"], source="de", target="en")
    assert back.confidence is None


def test_progress_counts_sentences_up_to_all_of_them(translator: Translator) -> None:
    told: list[tuple[int, int]] = []
    translator.translate(
        TEXTS, source="en", target="de", options=QUICK, progress=lambda done, total: told.append((done, total))
    )
    done, total = zip(*told, strict=True)
    assert list(done) == sorted(set(done))  # those that end with one step are told at once
    assert (done[-1], set(total)) == (5, {5})  # of 7 sentences two come twice


def test_cancelling_stops(translator: Translator) -> None:
    asked: Iterator[int] = iter(range(100))
    with pytest.raises(CancelledError, match="The translation was cancelled"):
        translator.translate(TEXTS, source="en", target="de", cancelled=lambda: next(asked) == 2)
    assert next(asked) == 3


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_several_processes_give_what_one_does(translator: Translator) -> None:
    texts, before = [*TEXTS, ""] * 3, thread_count()
    told: list[tuple[int, int]] = []
    try:
        set_thread_count(2)
        torch.ones(500, 500) @ torch.ones(500, 500)  # in a pool of threads that the processes will not have
        wanted = translator.translate(texts, source="en", target="de", options=QUICK)
        found = translator.translate(
            texts, source="en", target="de", options=QUICK, workers=2, progress=lambda *each: told.append(each)
        )
    finally:
        set_thread_count(before)
    assert [each.text for each in found] == [each.text for each in wanted]
    assert [each.score for each in found] == pytest.approx([each.score for each in wanted], abs=1e-5)
    assert len({total for _, total in told[-1:]} | {done for done, _ in told[-1:]}) == 1


def test_of_several_processes_bad_requests_are_refused_before_there_are_any(translator: Translator) -> None:
    with pytest.raises(TypeError, match="number 1 is int"):
        translator.translate(["a", 1], source="en", target="de", workers=2)  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="workers is 0, wanted at least 1"):
        translator.translate(["a"], source="en", target="de", workers=0)


def test_threads_at_once_get_what_one_gets(translator: Translator) -> None:
    texts = [f"{text} {number}" for number, text in enumerate(TEXTS * 3)]
    alone = [one(translator, text, None) for text in texts]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda text: one(translator, text, None), texts))
    for found, expected in zip(together, alone, strict=True):
        assert_same(found, expected)


def test_json_has_plain_types_only(translator: Translator) -> None:
    translation = one(translator, TEXTS[0], None)
    table = translation.to_json()
    assert json.loads(json.dumps(table)) == table
    assert set(table) == {
        "text", "source", "target", "source_text", "score", "confidence", "sentences", "tokens", "alignment",
            "alternatives", "warnings",
    }  # fmt: skip
    assert table["text"] == translation.text
