"""Parts of sentences as utterances of their own: closed under links, marked as their language marks them."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.excerpts import LEAST_SAID, LONGEST, MOST_ALIKE, excerpts

NO_THANKS = ("Non, merci bien.", "No, thanks."), {(0, 0), (1, 1), (2, 2), (4, 3)}
chances = st.randoms(use_true_random=False)


def taken(
    pair: tuple[str, str], links: set[tuple[int, int]], languages: tuple[str, str] = ("fr", "en"), seed: int = 0
) -> set[tuple[str, str]]:
    """What is taken out of a pair, without its marks and capitals."""
    found = excerpts([pair], [links], languages, random.Random(seed))
    return {(source.strip(" .!?¡¿").lower(), target.strip(" .!?¡¿").lower()) for source, target in found}


def test_what_marks_set_off_on_both_sides_is_taken_out() -> None:
    assert taken(*NO_THANKS) == {("non", "no"), ("merci bien", "thanks")}


def test_what_is_set_off_has_every_mark_as_each_language_writes_it() -> None:
    pair, links = ("Non, merci.", "No, gracias."), {(0, 0), (1, 1), (2, 2)}
    found = excerpts([pair], [links], ("fr", "es"), random.Random(0))
    assert found[:3] == [("Non.", "No."), ("Non !", "¡No!"), ("Non", "No")]


def test_a_link_that_leads_out_of_a_part_keeps_it_in() -> None:
    pair, links = NO_THANKS
    assert taken(pair, links | {(0, 2)}) == set()


def test_a_part_with_few_linked_words_is_not_trusted() -> None:
    pair = ("Ja, das ist es wohl.", "Yes, that is probably it.")
    assert taken(pair, {(0, 0), (2, 2)}, ("de", "en")) == {("ja", "yes")}


def test_long_parts_and_quotations_stay_where_they_are() -> None:
    long = " ".join(["ja"] * (LONGEST + 1))
    links = {(0, 0), (1, 1), *((n, n) for n in range(2, LONGEST + 3))}
    assert taken((f"Ja, {long}.", f"Yes, {long}."), links, ("de", "en")) == {("ja", "yes")}
    assert taken(('Er sagt: "Ja, gut".', 'He says: "Yes, fine".'), {(0, 0), (1, 1), (4, 4), (6, 6)}, ("de", "en")) == {
        ("er sagt", "he says")
    }


def test_questions_keep_their_mark_and_tags_are_none() -> None:
    tag = ("Du kommst, oder?", "You are coming, aren't you?")
    assert taken(tag, {(0, 0), (1, 2), (3, 4)}, ("de", "en")) == {("du kommst", "you are coming")}
    pair = ("Nun, wo ist dein Hut?", "Well, where is your hat?")
    links = {(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)}
    found = excerpts([pair], [links], ("de", "en"), random.Random(0))
    assert ("Wo ist dein Hut?", "Where is your hat?") in found


GOODBYES = [
    (
        (f"Tom sagt {word} auf Wiedersehen.", f"Tom {said} says goodbye."),
        {(0, 0), (1, 2), (2, 1), (3, 3), (4, 3), (5, 4)},
    )
    for word, said in [("jetzt", "now"), ("nie", "never"), ("oft", "often")]
]


def test_last_words_that_usually_become_the_same_are_taken_out() -> None:
    pairs, links = zip(*GOODBYES, strict=True)
    found = excerpts(pairs, links, ("de", "en"), random.Random(0))
    assert {(source.strip(".!").lower(), target.strip(".!").lower()) for source, target in found} == {
        ("auf wiedersehen", "goodbye")
    }
    assert excerpts(pairs[:-1], links[:-1], ("de", "en"), random.Random(0)) == [], "twice is not usual yet"


def test_last_words_are_left_where_one_before_them_may_belong_to_them() -> None:
    pair, links = ("Er kommt heute wieder.", "He comes today once more."), {(0, 0), (1, 1), (2, 2), (3, 4), (4, 5)}
    assert excerpts([pair] * 5, [links] * 5, ("de", "en"), random.Random(0)) == []


def test_a_dictionary_gives_way_to_what_is_said() -> None:
    pairs, links = zip(*GOODBYES, (("auf Wiedersehen", "until we meet"), set[tuple[int, int]]()), strict=True)
    found = excerpts(pairs, links, ("de", "en"), random.Random(0))
    assert not any("meet" in target for _, target in found)


QUOTATION = ('Er sagt jetzt "ja".', 'He says now "yes".')
QUESTION = ("Kommt er jetzt wieder?", "Does he come again?")


@pytest.mark.parametrize("pair", [QUOTATION, QUESTION])
def test_quotations_and_questions_have_no_last_words(pair: tuple[str, str]) -> None:
    links = {(n, n) for n in range(8)}
    assert excerpts([pair] * 5, [links] * 5, ("de", "en"), random.Random(0)) == []


def test_an_abbreviation_is_not_set_off_by_its_stop() -> None:
    pair, links = ("Herr Dr. Vogt, komm her.", "Dr. Vogt, come here."), {(1, 0), (2, 1), (3, 2), (4, 3), (5, 4), (6, 5)}
    assert taken(pair, links, ("de", "en")) == {("herr dr. vogt", "dr. vogt"), ("komm her", "come here")}


@given(chances)
def test_a_capital_inside_of_a_sentence_stays(chance: random.Random) -> None:
    they = ("Er sagt, sie irren sich, sie alle.", "He says they are wrong, all of them.")
    pair, links = ("Nun, Sie irren sich.", "Well, you are mistaken."), {(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)}
    found = excerpts([pair, they, they], [links, set(), set()], ("de", "en"), chance)
    assert [source for source, _ in found[3:]] == ["Sie irren sich.", "Sie irren sich!", "Sie irren sich"]


@given(chances)
def test_some_words_of_a_dictionary_become_utterances(chance: random.Random) -> None:
    found = excerpts([("langsam", "slowly")] * 200, [set[tuple[int, int]]()] * 200, ("de", "en"), chance)
    assert set(found) == {("Langsam.", "Slowly.")}, "what is called may mean something else"


LONG_SENTENCE = ("Es regnet seit heute früh.", "It has rained since this morning.")


@pytest.mark.parametrize("pair", [LONG_SENTENCE, ("ein sehr alter Hut", "a very old hat")])
def test_longer_sentences_and_entries_are_left(pair: tuple[str, str]) -> None:
    assert excerpts([pair], [{(0, 0), (1, 2)}], ("de", "en"), random.Random(0)) == []


@pytest.mark.parametrize(("has", "gets"), [(".", "!"), ("!", ".")])
def test_a_short_sentence_is_said_with_the_other_mark(has: str, gets: str) -> None:
    spanish = {".": "Está lloviendo.", "!": "¡Está lloviendo!"}
    pair = f"Es regnet{has}", spanish[has]
    found = excerpts([pair], [{(0, 0), (1, 1)}], ("de", "es"), random.Random(0))
    assert found == [(f"Es regnet{gets}", spanish[gets])]


def test_a_name_that_somebody_is_called_by_is_taken_away() -> None:
    how = ("Wie geht es dir, Tom?", "¿Cómo estás, Tom?"), {(0, 1), (1, 2), (2, 2), (3, 2), (4, 3), (5, 4), (6, 5)}
    assert excerpts([how[0]], [how[1]], ("de", "es"), random.Random(0)) == [("Wie geht es dir?", "¿Cómo estás?")]
    first = ("Tom, wie geht es dir?", "Tom, ¿cómo estás?"), {(0, 0), (1, 1), (2, 3), (3, 4), (4, 4), (5, 4), (6, 5)}
    assert excerpts([first[0]], [first[1]], ("de", "es"), random.Random(0)) == [("Wie geht es dir?", "¿Cómo estás?")]


def test_a_name_is_taken_away_where_one_side_alone_sets_it_off() -> None:
    pair, links = ("Hallo, Tom.", "Hola Tom."), {(0, 0), (2, 1), (3, 2)}
    assert taken(pair, links, ("de", "es")) == {("hallo", "hola")}
    pair, links = ("Hallo Tom.", "Hello Tom."), {(0, 0), (1, 1), (2, 2)}
    assert taken(pair, links, ("de", "en")) == {("hallo tom", "hello tom")}, "neither sets it off"


def test_what_is_often_said_by_itself_is_no_last_word_and_no_entry() -> None:
    no_infinitive = [
        ((f"Ich kann {word} lange warten.", f"I can {said} wait."), {(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (5, 4)})
        for word, said in [("jetzt", "now"), ("nie", "never"), ("oft", "often")]
    ]
    entry = ("warten", "await"), set[tuple[int, int]]()
    pairs, links = zip(*no_infinitive, *[entry] * 200, strict=True)
    found = excerpts(pairs, links, ("de", "en"), random.Random(0))
    assert {target.strip(".!").lower() for _, target in found} == {"wait"}, "last words before a dictionary"
    said = ("Warten!", "Wait up!"), {(0, 0), (1, 2)}
    pairs, links = zip(*no_infinitive, *[entry] * 200, *[said] * LEAST_SAID, strict=True)
    found = excerpts(pairs, links, ("de", "en"), random.Random(0))
    assert set(found) == {("Warten.", "Wait up.")}


def test_what_is_said_all_the_time_is_taken_some_times() -> None:
    pair, links = NO_THANKS
    found = excerpts([pair] * 500, [links] * 500, ("fr", "en"), random.Random(0))
    assert max(found.count(each) for each in set(found)) == MOST_ALIKE
