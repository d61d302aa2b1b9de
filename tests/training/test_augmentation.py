"""Every dress: what it changes, what it leaves alone, and that nothing is worn that was not asked for."""

import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.augmentation import (
    NEIGHBOURS,
    SLIPS,
    AugmentationConfig,
    lower_case,
    misspelled,
    repeated,
    unaccented,
    unfinished,
    variants,
)
from training.copying import EMOJI, FOREIGN_NAMES, decorated, foreign, renamed, renumbered
from translator.errors import ConfigError
from translator.text import normalise

CHANCE = random.Random(1)
LANGUAGES = ("en", "de")


class OneSlip(random.Random):
    """Chance that never makes two slips."""

    def choice(self, options: Any) -> Any:
        return 1 if options is SLIPS else super().choice(options)


SENTENCES = st.text(st.sampled_from("aäBéß .'x서がहिйẗ")).map(lambda text: normalise(text).text)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("Über Tom.", {"Uber Tom.", "Ueber Tom."}, id="an umlaut"),
        pytest.param("Ça va, Anaïs?", {"Ca va, Anais?"}, id="French"),
        pytest.param("¿Qué año?", {"¿Que ano?"}, id="Spanish"),
        pytest.param("Straße", {"Straße", "Strasse"}, id="sharp s"),
        pytest.param("서울 がっこう हिन्दी йод", {"서울 がっこう हिन्दी йод"}, id="marks of other scripts are letters"),
    ],
)
def test_accents_are_taken_off_the_source_alone(source: str, expected: set[str]) -> None:
    found = {unaccented((source, "É"), CHANCE) for _ in range(50)}
    assert found == {(each, "É") for each in expected}


def test_the_source_alone_is_put_in_lower_case() -> None:
    assert lower_case(("Wo ist Ärger?", "Where is Trouble?"), CHANCE) == ("wo ist ärger?", "Where is Trouble?")


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        pytest.param(("Ja.", "Yes."), ("Ja", "Yes"), id="on both sides"),
        pytest.param(("Ja .", "Yes."), ("Ja", "Yes"), id="with a space before it"),
        pytest.param(("Ja.", "Yes"), ("Ja.", "Yes"), id="on one side only"),
        pytest.param(("Ja?", "Yes?"), ("Ja?", "Yes?"), id="a question stays one"),
        pytest.param(("Ja...", "Yes..."), ("Ja...", "Yes..."), id="an ellipsis stays one"),
        pytest.param((".", "."), (".", "."), id="nothing but a stop"),
    ],
)
def test_the_final_stop_is_taken_off_both_sides(pair: tuple[str, str], expected: tuple[str, str]) -> None:
    assert unfinished(pair, CHANCE) == expected


@given(st.lists(st.text("abc", min_size=1, max_size=6), min_size=1), st.randoms(use_true_random=False))
def test_slips_change_at_most_two_letters_and_keep_the_first_of_a_word(words: list[str], chance: random.Random) -> None:
    source, target = misspelled((" ".join(words), "target"), chance)
    found = source.split(" ")
    assert target == "target"
    assert len(found) == len(words)
    changed = [(old, new) for old, new in zip(words, found, strict=True) if old != new]
    assert len(changed) <= max(SLIPS)
    for old, new in changed:
        assert len(old) > 3
        assert abs(len(new) - len(old)) <= max(SLIPS)
        assert old[0] == new[0]
        reached = set(old)
        for _ in range(max(SLIPS)):
            reached |= set("".join(NEIGHBOURS[letter] for letter in reached))
        assert set(new) <= reached


def test_a_word_before_a_comma_or_a_stop_is_slipped_in_too() -> None:
    slips = {"Hus!", "Has!", "Haaus!", "Hauus!", "Huas!", "Hasu!", "Hsus!", "Hays!", "Hais!"}
    for _ in range(20):
        assert misspelled(("Haus!", "house!"), OneSlip())[0] in slips


def test_a_slip_leaves_names_of_things_and_short_words_alone() -> None:
    pair = ("I am at www.example.org 12345", "target")
    assert misspelled(pair, CHANCE) == pair


def test_every_shared_name_is_written_in_another_script_and_nothing_else() -> None:
    pair = ("Anna und Tom treffen Tim.", "Tom and Anna meet Timothy.")
    source, target = foreign(pair, CHANCE)
    anna, tom = source.split()[0], source.split()[2]
    assert {anna, tom} < set(FOREIGN_NAMES)
    assert source == f"{anna} und {tom} treffen Tim."
    assert target == f"{tom} and {anna} meet Timothy."


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(("Das Haus", "The house"), id="no word stands on both sides"),
        pytest.param(("Tom ist Tom.", "Tom is Tom."), id="which Tom is which cannot be told"),
        pytest.param(("rot ist wild", "wild is rot"), id="small letters"),
        pytest.param(("Ab 2024 NATO", "Ab 2024 NATO"), id="short words, numbers, abbreviations"),
    ],
)
def test_what_is_no_name_stays_as_it_is(pair: tuple[str, str]) -> None:
    assert foreign(pair, CHANCE) == pair


@given(st.randoms(use_true_random=False))
def test_both_sides_get_the_same_emoji_at_the_same_end(chance: random.Random) -> None:
    source, target = decorated(("Ja.", "Yes."), chance)
    before, after = source.split("Ja.")
    assert (before + after).strip() in EMOJI
    assert target == f"{before}Yes.{after}"


@given(SENTENCES.filter(bool))
def test_every_dress_of_normal_text_is_normal_text(text: str) -> None:
    config = AugmentationConfig(**{name: 1.0 for name in vars(AugmentationConfig())})
    for _, change in variants(config, LANGUAGES):
        for side in change((text, text), random.Random(0)):
            assert normalise(side).text == side


def test_only_what_has_a_share_is_worn() -> None:
    assert list(variants(AugmentationConfig(), LANGUAGES)) == []
    assert list(variants(AugmentationConfig(unaccented=0.2), LANGUAGES)) == [(0.2, unaccented)]


@pytest.mark.parametrize("share", [-0.1, 20.0])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"misspelled is {share}, wanted at least 0 and at most 10.")):
        AugmentationConfig(misspelled=share)


def test_people_get_other_names_and_the_same_on_both_sides() -> None:
    found = {renamed(("Anna und Tom treffen Tim.", "Tom and Anna meet Timothy."), CHANCE) for _ in range(20)}
    assert len(found) > 10
    for source, target in found:
        anna, _, tom, *rest = source.split()
        assert rest == ["treffen", "Tim."]
        assert target == f"{tom} and {anna} meet Timothy."
        assert anna != tom
        assert anna.istitle()
        assert anna.isascii()


@pytest.mark.parametrize(
    ("pair", "pattern"),
    [
        pytest.param(("Zimmer 318", "Room 318"), r"Zimmer (\d{3})\|Room \1", id="as many digits on both sides"),
        pytest.param(("12 und 12", "12 and 12"), r"(\d\d) und \1\|\1 and \1", id="the same number stays the same"),
        pytest.param(("10 von 20", "10 of 30"), r"(\d\d) von 20\|\1 of 30", id="what stands on one side only stays"),
        pytest.param(
            ("Um 7:35, 1.500", "At 7:35, 1.500"), r"Um 7:35, 1\.500\|At 7:35, 1\.500", id="times and parts stay"
        ),
        pytest.param(("21. Mai", "May 21st"), r"21\. Mai\|May 21st", id="what letters follow stays"),
        pytest.param(("B52", "B52"), r"B52\|B52", id="and what they precede"),
        pytest.param(("2 007", "2 007"), r"2 007\|2 007", id="one digit may be a word elsewhere"),
    ],
)
def test_numbers_are_changed_on_both_sides(pair: tuple[str, str], pattern: str) -> None:
    for _ in range(10):
        assert re.fullmatch(pattern, "|".join(renumbered(pair, CHANCE)))


def test_a_short_utterance_is_said_again_as_often_on_both_sides() -> None:
    for _ in range(20):
        source, target = repeated(("\u00a1Espera!", "Wait!"), CHANCE)
        assert source.count("\u00a1Espera!") == target.count("Wait!") in {2, 3, 4}
        source, target = repeated(("rotes Haus", "red house"), CHANCE)
        assert re.fullmatch(r"rotes Haus(, rotes Haus)+|rotes Haus( rotes Haus)+", source)
        assert target == source.replace("rotes Haus", "red house")
    for pair in (("das rote Haus", "the red house"), ("a-b", "c"), ("Ja, ja", "Yes, yes")):
        assert repeated(pair, CHANCE) == pair
