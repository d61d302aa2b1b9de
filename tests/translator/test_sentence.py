"""One sentence: read into ids and offsets, and written from a hypothesis made by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.arrays import Array
from translator.scoring import Hypothesis
from translator.sentence import SourceSentence, read_sentence, read_target, write_sentence
from translator.text import normalise, words
from translator.tokenizer import Tokenizer

RAW = st.text(st.sampled_from([*"aeoutÜ h.-'", "\u2665", "\u0301", "\u00ad", "\u200b", "\t", "\ud800"]), max_size=20)


def read(tokenizer: Tokenizer, text: str, start: int = 0) -> SourceSentence:
    return read_sentence(text, start, tokenizer=tokenizer, target="de")


def answer(
    tokenizer: Tokenizer, sentence: SourceSentence, *, looks: Array | None = None, finished: bool = True
) -> Hypothesis:
    """The sentence said again, each piece looking at its source; `looks` puts other attention in its place."""
    token_ids = tuple(sentence.ids[1:]) if finished else tuple(sentence.ids[1:-1])
    steps = len(token_ids)
    attention = np.eye(len(sentence.ids), dtype=np.float32)[1:][:steps] if looks is None else looks
    return Hypothesis(token_ids, (-0.5,) * steps, -0.5 * steps, -1.25, np.zeros(0, np.float32), attention, finished)


def test_reading_puts_the_wanted_language_first_and_eos_last(tokenizer: Tokenizer) -> None:
    sentence = read(tokenizer, "the  dog")
    assert sentence.text == "the dog"
    assert sentence.ids == [tokenizer.language_id("de"), *tokenizer.encode("the dog"), tokenizer.eos_id]
    assert (sentence.spans[0], sentence.spans[-1]) == ((0, 0), (7, 7))
    assert "".join(sentence.text[start:end] for start, end in sentence.spans) == "the dog"


def test_origins_count_from_the_start_of_the_whole_text(tokenizer: Tokenizer) -> None:
    whole = "Why?\n the  d\u00adog"
    sentence = read(tokenizer, whole[6:], 6)
    assert [whole[origin] for origin in sentence.origins[:-1]] == list(sentence.text)
    assert sentence.origins[-1] == len(whole)


@given(RAW)
def test_every_id_has_a_span_and_every_character_an_origin(tokenizer: Tokenizer, text: str) -> None:
    sentence = read(tokenizer, text, 7)
    assert len(sentence.spans) == len(sentence.ids)
    assert len(sentence.origins) == len(sentence.text) + 1
    assert list(sentence.origins) == sorted(sentence.origins)
    assert all(7 <= origin <= 7 + len(text) for origin in sentence.origins)


def test_what_the_vocabulary_cannot_spell_is_known(tokenizer: Tokenizer) -> None:
    assert read(tokenizer, "the dog").unknown == []
    assert read(tokenizer, "the \u2665\u2665 dog \u4f60!").unknown == ["\u2665\u2665", "\u4f60"]


def test_a_word_with_a_letter_that_no_piece_spells_is_one_unknown_piece(tokenizer: Tokenizer) -> None:
    sentence = read(tokenizer, "the dog K\u0151r\u00f6s-\u0151 waits")
    assert sentence.unknown == ["K\u0151r\u00f6s-\u0151"]
    assert sentence.ids.count(Tokenizer.unk_id) == 1
    given = read_target("the dog K\u0151r\u00f6s-\u0151 waits", sentence, tokenizer=tokenizer)
    assert given.ids == sentence.ids[1:], "and so it is in a translation that is given"


@given(RAW)
def test_saying_a_sentence_again_returns_it_and_links_its_words(tokenizer: Tokenizer, text: str) -> None:
    """Holds for any text, unknown characters included, since each unknown piece looks at itself."""
    sentence = read(tokenizer, text, 3)
    written = write_sentence(sentence, answer(tokenizer, sentence), tokenizer=tokenizer)
    assert written.text == sentence.text
    assert written.warnings == ()
    assert [(token.start, token.end) for token in written.tokens] == sentence.spans[1:]
    links = {(each.source_start, each.source_end, each.target_start, each.target_end) for each in written.alignment}
    places = {(sentence.origins[start], sentence.origins[end]): (start, end) for start, end in words(sentence.text)}
    assert links >= {(*place, *word) for place, word in places.items()}
    assert {link[:2] for link in links} <= set(places)
    for place, (start, end) in places.items():
        source_word = text[place[0] - 3 : place[1] - 3]
        assert source_word == source_word.strip()
        assert normalise(source_word).text == sentence.text[start:end]


def test_tokens_carry_text_place_and_log_probability(tokenizer: Tokenizer) -> None:
    sentence = read(tokenizer, "the dog")
    written = write_sentence(sentence, answer(tokenizer, sentence), tokenizer=tokenizer)
    assert "".join(token.text for token in written.tokens) == "the dog"
    assert all(token.text == written.text[token.start : token.end] for token in written.tokens)
    assert (written.tokens[-1].text, written.tokens[-1].start, written.tokens[-1].end) == ("", 7, 7)  # eos
    assert {token.log_prob for token in written.tokens} == {-0.5}
    assert written.score == -1.25


def test_a_composed_letter_is_linked_with_its_combining_mark(tokenizer: Tokenizer) -> None:
    text = "Fu\u0308nf u\u0308"
    sentence = read(tokenizer, text)
    assert sentence.text == "Fünf ü"
    written = write_sentence(sentence, answer(tokenizer, sentence), tokenizer=tokenizer)
    assert [text[link.source_start : link.source_end] for link in written.alignment] == ["Fu\u0308nf", "u\u0308"]


def looking_at(sentence: SourceSentence, place: int, *, from_unknown: bool = True) -> Array:
    """Attention where every unknown piece looks at one source piece."""
    attention = np.eye(len(sentence.ids), dtype=np.float32)[1:]
    for step, token_id in enumerate(sentence.ids[1:]):
        if token_id == Tokenizer.unk_id and from_unknown:
            attention[step] = np.eye(len(sentence.ids), dtype=np.float32)[place]
    return attention


def test_an_unknown_piece_copies_the_unknown_piece_it_looked_at(tokenizer: Tokenizer) -> None:
    sentence = read(tokenizer, "the M\u0142u dog \u2665")  # a letter within a name, and a word of its own
    written = write_sentence(sentence, answer(tokenizer, sentence), tokenizer=tokenizer)
    assert written.text == "the M\u0142u dog \u2665"


def test_unknown_pieces_are_copied_once_each(tokenizer: Tokenizer) -> None:
    sentence = read(tokenizer, "the M\u0142u dog \u2665")
    for place in (sentence.ids.index(Tokenizer.unk_id), len(sentence.ids) - 2, 1):  # all look at the same
        written = write_sentence(
            sentence, answer(tokenizer, sentence, looks=looking_at(sentence, place)), tokenizer=tokenizer
        )
        assert sorted(written.text) == sorted(sentence.text)
        assert written.warnings == ()


def test_what_the_text_says_once_is_copied_once(tokenizer: Tokenizer) -> None:
    sentence, twice = read(tokenizer, "the \u2665"), read(tokenizer, "\u2665 the \u2665")
    looks = np.zeros((len(twice.ids) - 1, len(sentence.ids)), np.float32)
    looks[:, sentence.ids.index(Tokenizer.unk_id)] = 1
    written = write_sentence(sentence, answer(tokenizer, twice, looks=looks), tokenizer=tokenizer)
    assert written.text == "\u2665 the"


@pytest.mark.parametrize("text", ["the dog", "the \u2665\u2665 dog \u4f60!", "No, no, the dog!", "THE DOG \u2665"])
def test_without_details_the_text_is_the_same(tokenizer: Tokenizer, text: str) -> None:
    sentence = read(tokenizer, text)
    full, brief = (
        write_sentence(sentence, answer(tokenizer, sentence), tokenizer=tokenizer, detailed=detailed)
        for detailed in (True, False)
    )
    assert full.text == text
    assert full.tokens
    assert full.alignment
    assert brief == full._replace(tokens=(), alignment=())


def test_copies_in_a_row_are_apart_if_they_were(tokenizer: Tokenizer) -> None:
    sentence = read(tokenizer, "\u2665 \u2666")
    unknown = [place for place, piece in enumerate(sentence.ids) if piece == Tokenizer.unk_id]
    without_space = sentence._replace(ids=[sentence.ids[0], *[Tokenizer.unk_id] * len(unknown), Tokenizer.eos_id])
    looks = np.eye(len(sentence.ids), dtype=np.float32)[[*unknown, len(sentence.ids) - 1]]
    written = write_sentence(sentence, answer(tokenizer, without_space, looks=looks), tokenizer=tokenizer)
    assert written.text == "\u2665 \u2666"


def test_an_unknown_piece_copies_the_whole_word_if_there_is_no_unknown_one(tokenizer: Tokenizer) -> None:
    sentence, target = read(tokenizer, "Zebrafink"), read(tokenizer, "\u2665")
    looks = np.zeros((len(target.ids) - 1, len(sentence.ids)), np.float32)
    looks[:, len(sentence.ids) - 2] = 1  # its last letter
    written = write_sentence(sentence, answer(tokenizer, target, looks=looks), tokenizer=tokenizer)
    assert written.text == "Zebrafink"


def test_a_known_word_is_copied_once(tokenizer: Tokenizer) -> None:
    sentence, target = read(tokenizer, "Zebrafink"), read(tokenizer, "\u2665 a \u2666")
    looks = np.zeros((len(target.ids) - 1, len(sentence.ids)), np.float32)
    looks[:, len(sentence.ids) - 2] = 1
    written = write_sentence(sentence, answer(tokenizer, target, looks=looks), tokenizer=tokenizer)
    assert written.text == "Zebrafink a"


def test_what_is_missing_from_the_translation_is_said(tokenizer: Tokenizer) -> None:
    sentence, target = read(tokenizer, "the \u2665 dog"), read(tokenizer, "the dog")
    looks = np.full((len(target.ids) - 1, len(sentence.ids)), 1 / len(sentence.ids), np.float32)
    written = write_sentence(sentence, answer(tokenizer, target, looks=looks), tokenizer=tokenizer)
    assert written.text == "the dog"
    assert written.warnings == ("'\u2665' was to be copied and is missing from the translation.",)


def test_a_number_that_was_lost_with_what_it_stands_in_is_not_told_again(tokenizer: Tokenizer) -> None:
    sentence, target = read(tokenizer, "the dog 3/4/2024"), read(tokenizer, "the dog")
    looks = np.full((len(target.ids) - 1, len(sentence.ids)), 1 / len(sentence.ids), np.float32)
    written = write_sentence(sentence, answer(tokenizer, target, looks=looks), tokenizer=tokenizer)
    assert written.warnings == ("'3/4/2024' was to be copied and is missing from the translation.",)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("the dog", "'the dog'", id="short"),
        pytest.param("the dog " * 9, repr(("the dog " * 9)[:39] + "…"), id="long, and shortened"),
    ],
)
def test_a_translation_that_was_cut_is_said_to_be(tokenizer: Tokenizer, text: str, shown: str) -> None:
    sentence = read(tokenizer, text)
    written = write_sentence(sentence, answer(tokenizer, sentence, finished=False), tokenizer=tokenizer)
    assert written.warnings == (f"The translation of {shown} was cut at the maximum length.",)


def test_a_translation_that_goes_round_in_circles_is_said_to(tokenizer: Tokenizer) -> None:
    source = read(tokenizer, "the cat")
    round_it_goes = read(tokenizer, "the dog the dog the dog the dog")
    looks = np.full((len(round_it_goes.ids) - 1, len(source.ids)), 1 / len(source.ids), np.float32)
    written = write_sentence(source, answer(tokenizer, round_it_goes, looks=looks), tokenizer=tokenizer)
    assert written.warnings == ("The translation of 'the cat' repeats itself where the text does not.",)


def test_an_address_is_one_unknown_piece_and_copied_whole(tokenizer: Tokenizer) -> None:
    text = "the dog: www.dog.org/x, eats"
    sentence = read(tokenizer, text)
    assert sentence.ids.count(tokenizer.unk_id) == 1
    assert sentence.unknown == ["www.dog.org/x"]
    written = write_sentence(sentence, answer(tokenizer, sentence), tokenizer=tokenizer)
    assert written.text == text
    assert written.warnings == ()
    linked = {
        (text[link.source_start : link.source_end], text[link.target_start : link.target_end])
        for link in written.alignment
    }
    assert ("www", "www") in linked or ("www.dog.org", "www.dog.org") in linked


def test_a_copied_address_is_not_put_in_capitals(tokenizer: Tokenizer) -> None:
    sentence = read(tokenizer, "THE DOG: www.dog.org EATS")
    assert sentence.shouted
    written = write_sentence(sentence, answer(tokenizer, sentence), tokenizer=tokenizer)
    assert written.text == "THE DOG: www.dog.org EATS"


def test_shouting_is_read_calmly_and_answered_in_capitals(tokenizer: Tokenizer) -> None:
    text = "THE  DOG EATS"
    sentence, calm = read(tokenizer, text, 3), read(tokenizer, "The dog eats", 3)
    assert (sentence.shouted, calm.shouted) == (True, False)
    assert sentence.ids == calm.ids
    assert sentence.text == "THE DOG EATS"
    written = write_sentence(sentence, answer(tokenizer, sentence), tokenizer=tokenizer)
    assert written.text == "THE DOG EATS"
    assert "".join(token.text for token in written.tokens) == written.text
    assert [text[link.source_start - 3 : link.source_end - 3] for link in written.alignment] == ["THE", "DOG", "EATS"]


def test_capitals_that_small_letters_would_not_shorten_are_a_name(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode("Xy")) == len(tokenizer.encode("XY"))
    sentence = read(tokenizer, "XY")
    assert not sentence.shouted
    assert sentence.ids[1:-1] == tokenizer.encode("XY")
