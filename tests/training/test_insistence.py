"""Short sentences said again as one: the same number of times on both sides, with one set of marks and one capital."""

import random
import re

from hypothesis import given
from hypothesis import strategies as st

from training.insistence import MOST_WORDS, TIMES, insisted
from training.uncapitalised import Uncapitalised

GERMAN = Uncapitalised(["Er, halt, sagt, ich komme", "Ja, warte"])
SPANISH = Uncapitalised(["Dice, para, y dice, espera", "Que, ya voy", "y, hay leche"])


def said(pairs: list[tuple[str, str]], chance: random.Random) -> list[tuple[str, str]]:
    return insisted(pairs, chance, inner=(GERMAN, SPANISH))


@given(st.randoms(use_true_random=False))
def test_a_call_is_said_again_as_often_on_both_sides_with_the_marks_of_one(chance: random.Random) -> None:
    alone, *_ = said([("Halt!", "¡Para!")], chance)
    source, target = alone
    assert re.fullmatch(r"Halt(, halt)+!", source)
    assert re.fullmatch(r"¡Para(, para)+!", target)
    assert source.count("alt") == target.count("ara") in set(TIMES)


@given(st.randoms(use_true_random=False))
def test_what_follows_a_call_gives_the_marks_and_loses_its_capital(chance: random.Random) -> None:
    pairs = [("Warte!", "¡Espera!"), ("Ich komme schon zu dir nach Hause.", "¡Ya voy a tu casa para verte!")]
    behind = [pair for pair in said(pairs, chance) if "komme" in pair[0]]
    for source, target in behind:
        assert re.fullmatch(r"Warte(, warte)+, ich komme schon zu dir nach Hause\.", source)
        assert re.fullmatch(r"¡Espera(, espera)+, ya voy a tu casa para verte!", target)
    assert len(behind) <= 3


@given(st.randoms(use_true_random=False))
def test_a_question_keeps_its_opening_where_it_begins(chance: random.Random) -> None:
    pairs = [("Warte!", "¡Espera!"), ("Ist denn noch Milch im Haus da?", "¿Hay leche en la casa de ella?")]
    for _, target in said(pairs, chance):
        assert re.fullmatch(
            r"¡Espera(, espera)+!|Espera(, espera)+(, espera)?, ¿hay leche en la casa de ella\?", target
        )


@given(st.randoms(use_true_random=False))
def test_long_sentences_several_and_those_of_other_marks_are_not_said_again(chance: random.Random) -> None:
    long = " ".join(["ja"] * (MOST_WORDS + 1))
    others = [
        (f"{long}.", "Sí."),
        ("Ja. Nein.", "Sí. No."),
        ("Ja, nein.", "Sí, no."),
        ("Ja...", "Sí..."),
        ("Ja", "¡Sí!"),
    ]
    assert said([pair for pair in others], chance) == []


def test_of_words_without_a_mark_a_part_is_said_again_and_none_is_a_call() -> None:
    words = [("Haus", "casa")] * 500
    made = said(words, random.Random(0))
    assert 50 < len(made) < 150
    assert all(
        re.fullmatch(r"Haus(, Haus)+", source) and re.fullmatch(r"casa(, casa)+", target) for source, target in made
    )
