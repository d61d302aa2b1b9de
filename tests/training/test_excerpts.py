"""Parts of sentences as utterances of their own: closed under links, marked as their language marks them."""

import random
from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.excerpts import ENTRIES, FEW, LEAST_ALIKE, LEAST_SAID, LONGEST, MOST_ALIKE, excerpts

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
    assert {source.lower(): target.lower() for source, target in found if source.startswith(("N", "n"))} == {
        "non.": "no.",
        "non !": "¡no!",
        "non": "no",
    }


def test_without_a_mark_there_is_a_capital_as_often_as_without() -> None:
    pair, links = ("Non, merci.", "No, gracias."), {(0, 0), (1, 1), (2, 2)}
    within = ("Il dit non.", "Dice no."), set[tuple[int, int]]()
    drawn = {
        made
        for seed in range(20)
        for made in excerpts([pair, within[0]], [links, within[1]], ("fr", "es"), random.Random(seed))
    }
    assert {("non", "no"), ("Non", "No"), ("merci", "gracias"), ("Merci", "Gracias")} <= drawn
    assert not {("non", "No"), ("Non", "no")} & drawn, "on both sides or on neither"


def test_what_is_short_and_set_off_is_taken_more_than_once() -> None:
    few, more = " ".join(["ja"] * FEW), " ".join(["ja"] * (FEW + 1))
    pair = (f"Doch, {few}, nun, {more}.", f"Doch, {few}, nun, {more}.")
    links = {(n, n) for n in range(2 * FEW + 7)}
    found = Counter(excerpts([pair], [links], ("de", "en"), random.Random(0)))
    assert found[few.capitalize() + ".", few.capitalize() + "."] == LEAST_ALIKE
    assert found[more.capitalize() + ".", more.capitalize() + "."] == 1


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
    entry = ("auf Wiedersehen", "until then"), set[tuple[int, int]]()
    pairs, links = zip(*GOODBYES, *[entry] * 50, strict=True)  # of which a share is said, unless it gives way
    found = excerpts(pairs, links, ("de", "en"), random.Random(0))
    assert not any("then" in target for _, target in found)


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
    assert {source for source, _ in found if "irren" in source} == {
        "Sie irren sich.",
        "Sie irren sich!",
        "Sie irren sich",
    }


def test_some_words_of_a_dictionary_become_utterances() -> None:
    entries = [(letters, letters) for letters in map("".join, product("abcdefgh", repeat=4))]
    found = excerpts(entries, [{(0, 0)}] * len(entries), ("de", "en"), random.Random(0))
    assert all(source.endswith(".") for source, _ in found), "what is called may mean something else"
    assert len(found) == len(set(found)) == pytest.approx(ENTRIES * len(entries), rel=0.15)


def test_last_words_of_a_dictionary_s_entries_are_not_read() -> None:
    men = [((f"{how} Mann", f"{so} man"), {(0, 0), (1, 1)}) for how, so in [("alter", "old"), ("guter", "good")] * 5]
    pairs, links = zip(*men, strict=True)
    assert not any(source.startswith("Mann") for source, _ in excerpts(pairs, links, ("de", "en"), random.Random(0)))


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


@pytest.mark.parametrize("mark", ["?!", "!?", "?"])
def test_a_short_question_is_not(mark: str) -> None:
    assert excerpts([(f"Regnet es{mark}", f"Is it raining{mark}")], [{(0, 0)}], ("de", "en"), random.Random(0)) == []


TOM = [(("Ich sehe Tom.", "I see Tom."), set[tuple[int, int]]())] * 2  # where he has his capital anyway


def said_to_tom(pair: tuple[str, str], links: set[tuple[int, int]], languages: tuple[str, str]) -> set[tuple[str, str]]:
    pairs, linked = zip((pair, links), *TOM, strict=True)
    found = excerpts(pairs, linked, languages, random.Random(0))
    return {each for each in found if "see" not in each[1] and each[1][-1:] in ".?"}


def test_a_name_that_somebody_is_called_by_is_taken_away() -> None:
    how = ("Wie geht es dir, Tom?", "¿Cómo estás, Tom?"), {(0, 1), (1, 2), (2, 2), (3, 2), (4, 3), (5, 4), (6, 5)}
    assert said_to_tom(*how, ("de", "es")) == {("Wie geht es dir?", "¿Cómo estás?")}
    first = ("Tom, wie geht es dir?", "Tom, ¿cómo estás?"), {(0, 0), (1, 1), (2, 3), (3, 4), (4, 4), (5, 4), (6, 5)}
    assert said_to_tom(*first, ("de", "es")) == {("Wie geht es dir?", "¿Cómo estás?")}
    two = ("Wer kommt, Tom, Tom?", "Who comes, Tom, Tom?"), {(n, n) for n in range(7)}
    assert said_to_tom(*two, ("de", "en")) == {("Wer kommt?", "Who comes?")}


def test_a_name_is_taken_away_where_one_side_alone_sets_it_off() -> None:
    assert said_to_tom(("Hallo, Tom.", "Hello Tom."), {(0, 0), (2, 1), (3, 2)}, ("de", "en")) == {("Hallo.", "Hello.")}
    neither = ("Hallo Tom.", "Hello Tom."), {(0, 0), (1, 1), (2, 2)}
    assert ("Hallo.", "Hello.") not in said_to_tom(*neither, ("de", "en"))


@pytest.mark.parametrize(
    ("pair", "links"),
    [
        pytest.param(("Tom, er ist krank.", "Tom is ill."), {(0, 0), (3, 1), (4, 2)}, id="what is said of him"),
        pytest.param(("Wer ist das, Tom?", "Who is Tom?"), {(0, 0), (1, 1), (4, 2)}, id="who is asked for"),
    ],
)
def test_a_name_that_belongs_to_the_rest_stays(pair: tuple[str, str], links: set[tuple[int, int]]) -> None:
    assert said_to_tom(pair, links, ("de", "en")) == set()


def test_an_interjection_is_no_name() -> None:
    pair, links = ("Oh, ich komme.", "Oh, I come."), {(n, n) for n in range(5)}
    assert taken(pair, links, ("de", "en")) == {("oh", "oh"), ("ich komme", "i come")}


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
