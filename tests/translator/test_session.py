"""A session: texts that come and go at any step are translated as if alone, and what is told early comes true."""

from dataclasses import replace
from random import Random

import pytest

from tests.translator.conftest import make_trilingual
from translator.config import DecodingOptions
from translator.document import Document
from translator.errors import ConfigError, LanguageError
from translator.inference import Translation, TranslationRequest, Translator
from translator.session import TranslationSession

OPTIONS = DecodingOptions(beam_size=3, n_best=3, max_length_ratio=1.0, max_length_margin=8)
TEXTS = [
    "the small dog sleeps here. why?\n\nA cat waits.",
    "DER ALTE HUND WARTET IM HAUS.",
    "Zebrafink \u2603 jumps over it, and quickly!",
    "",
    " \n",
    "why? why? why? the dog.",
]


@pytest.fixture(scope="module")
def translator() -> Translator:
    return make_trilingual(OPTIONS)


def requests_of(text: str, source: str = "en", target: str = "de") -> list[TranslationRequest]:
    return [TranslationRequest(text, source, target)]


def finish(session: TranslationSession) -> dict[int, list[Translation]]:
    found = {}
    while session.busy:
        found.update({ticket: session.collect(ticket) for ticket in session.advance()})
    return found


@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("seed", range(3))
def test_texts_that_come_at_any_step_are_translated_as_if_alone(
    translator: Translator, batch_size: int, seed: int
) -> None:
    chance = Random(seed)
    session = translator.session(batch_size=batch_size)
    directions = [("en", "de"), ("de", "en"), ("de", "fr"), ("fr", "de")]
    waiting = [requests_of(text, *chance.choice(directions)) for text in chance.sample(TEXTS, len(TEXTS))]
    waiting.append([TranslationRequest(text, "en", "de") for text in TEXTS])
    asked, found = dict[int, list[TranslationRequest]](), dict[int, list[Translation]]()
    while waiting or session.busy:
        if waiting and chance.random() < 0.4:
            requests = waiting.pop()
            asked[session.admit(requests, in_order=chance.random() < 0.5)] = requests
        found.update({ticket: session.collect(ticket) for ticket in session.advance()})
    assert found.keys() == asked.keys()
    for ticket, requests in asked.items():
        assert [each.text for each in found[ticket]] == [each.text for each in translator.translate_many(requests)]
        assert [each.source_text for each in found[ticket]] == [request.text for request in requests]


def test_a_text_without_a_sentence_ends_at_once(translator: Translator) -> None:
    session = translator.session()
    ticket = session.admit([TranslationRequest(" \n", "en", "de")])
    assert session.busy
    assert session.advance() == [ticket]
    assert [each.text for each in session.collect(ticket)] == [" \n"]
    assert not session.busy


def test_who_is_cancelled_leaves_before_the_next_step_and_nobody_notices(translator: Translator) -> None:
    session = translator.session()
    gone, stays = session.admit(requests_of(TEXTS[0])), session.admit(requests_of(TEXTS[5]))
    session.advance()
    live = session.live
    session.cancel(gone)
    session.cancel(gone)
    assert session.live < live
    found = finish(session)
    assert found.keys() == {stays}
    assert found[stays][0].text == translator.translate([TEXTS[5]], source="en", target="de")[0].text
    with pytest.raises(KeyError):
        session.collect(gone)


def test_what_has_ended_can_still_be_cancelled(translator: Translator) -> None:
    session = translator.session()
    session.cancel(session.admit(requests_of("")))
    assert not session.busy
    assert session.advance() == []


def test_each_caller_has_the_number_of_answers_it_asked_for(translator: Translator) -> None:
    session = translator.session()
    text = "why? the dog."
    one, more = session.admit(requests_of(text), n_best=1), session.admit(requests_of(text))
    found = finish(session)
    [alone] = translator.translate([text], source="en", target="de", options=replace(OPTIONS, n_best=1))
    [best] = translator.translate([text], source="en", target="de")
    assert (found[one][0].text, found[one][0].alternatives) == (alone.text, ())
    assert (found[more][0].text, found[more][0].alternatives) == (best.text, best.alternatives)
    assert best.alternatives != ()


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("direction", [("en", "de"), ("de", "fr")], ids="-".join)
def test_what_is_settled_only_grows_and_is_what_comes(
    translator: Translator, text: str, direction: tuple[str, str]
) -> None:
    session = translator.session(batch_size=2)
    ticket = session.admit(requests_of(text, *direction), in_order=True)
    told = [""]
    while not session.advance():
        [now] = session.settled(ticket)
        assert now.startswith(told[-1])
        told.append(now)
    [translation] = session.collect(ticket)
    assert translation.text.startswith(told[-1])


def test_the_first_words_of_a_long_sentence_are_known_before_half_of_it_is_searched() -> None:
    sentence = (
        "When the train arrived at the small station by the sea, the old woman who had been waiting on the platform "
        "since the early morning took her heavy suitcase, looked at the clock above the door once more, and smiled."
    )
    assert 35 <= len(sentence.split()) <= 45
    session = Translator.load().session()
    ticket = session.admit(requests_of(sentence), in_order=True)
    told = list[str]()
    while not session.advance():
        told += session.settled(ticket)
    [translation] = session.collect(ticket)
    assert any(told[: len(told) // 2])
    assert len(set(told)) > 5
    assert all(translation.text.startswith(each) for each in told)


def test_of_a_way_to_a_pivot_nothing_is_told(translator: Translator) -> None:
    session = translator.session()
    ticket = session.admit(requests_of(TEXTS[0], "de", "fr"))
    session.advance()
    assert session.settled(ticket) == [""]


def test_a_text_that_cannot_be_put_together_fails_alone(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assemble = Document.assemble

    def broken(self: Document) -> Translation:
        if any("why" in sentence.text for sentence in self.sentences):
            raise ArithmeticError("no such text")
        return assemble(self)

    monkeypatch.setattr(Document, "assemble", broken)
    session = translator.session()
    bad, good = session.admit(requests_of("why?")), session.admit(requests_of("the dog."))
    ended: list[int] = []
    while session.busy:
        ended += session.advance()
    assert sorted(ended) == [bad, good]
    with pytest.raises(ArithmeticError, match="no such text"):
        session.collect(bad)
    assert session.collect(good)[0].source_text == "the dog."


def test_what_cannot_be_translated_is_refused_and_leaves_no_trace(translator: Translator) -> None:
    session = translator.session()
    with pytest.raises(LanguageError, match="'xx' is not supported"):
        session.admit(requests_of("why?", "xx", "de"))
    assert not session.busy


def test_what_is_no_request_is_named(translator: Translator) -> None:
    with pytest.raises(TypeError, match="Requests are TranslationRequest, and number 0 is str"):
        translator.session().admit(["why?"])  # type: ignore[list-item]


@pytest.mark.parametrize("wrong", [0, -1, 4])
def test_more_answers_than_the_session_was_made_for_are_refused(translator: Translator, wrong: int) -> None:
    session = translator.session()
    with pytest.raises(ConfigError, match=f"n_best is {wrong}, wanted 1 to 3"):
        session.admit(requests_of("why?"), n_best=wrong)
    assert not session.busy
