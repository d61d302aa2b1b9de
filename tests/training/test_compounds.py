"""Compound sentences hold each statement once, in one order on both sides, with the conjunctions of both languages."""

import random
import re

from hypothesis import given
from hypothesis import strategies as st

from training.compounds import CONJUNCTIONS, LENGTHS, compounds
from training.uncapitalised import Uncapitalised

VERBS = ["ging", "kam", "sah", "lag", "stand", "sang", "rief", "fand"]
PAIRS = [(f"Er {verb} dort.", f"Il {verb} ici.") for verb in VERBS]
CONTEXT = [("Nun er.", "Et il.")]  # tells that both pronouns are written small


@given(st.randoms(use_true_random=False))
def test_every_statement_is_read_at_most_once_and_on_both_sides_in_one_order(chance: random.Random) -> None:
    seen: list[str] = []
    for source, target in compounds(PAIRS + CONTEXT, ("de", "fr"), chance):
        verbs = [word for word in re.findall(r"\w+", source) if word in VERBS]
        assert [word for word in re.findall(r"\w+", target) if word in VERBS] == verbs
        assert len(source.split(", ")) == len(target.split(", ")) <= max(LENGTHS)
        kinds = [re.findall(r"\b(und|aber|denn)\b", source), re.findall(r"\b(et|mais|car)\b", target)]
        assert [CONJUNCTIONS["de"].index(word) for word in kinds[0]] == [
            CONJUNCTIONS["fr"].index(word) for word in kinds[1]
        ]
        # A list has commas alone, but before the last clause.
        assert len(kinds[0]) == source.count(",") or (kinds[0] == ["und"] and ", und " in source[source.rindex(",") :])
        assert source.count(".") == target.count(".") == 1
        seen += verbs
    assert len(seen) == len(set(seen))
    assert len(seen) >= len(PAIRS) - 1  # one may be left over


def test_questions_and_quotations_take_no_part() -> None:
    others = [("Wer?", "Qui ?"), ("Na ja...", "Bon..."), ('Er rief "Ja".', "Il dit oui."), ("Gut. Ja.", "Bien. Oui.")]
    assert compounds(others * 4, ("de", "fr"), random.Random(0)) == []


def test_a_capital_stays_where_the_word_always_has_one() -> None:
    inner = Uncapitalised(["Wo ist das Haus?", "Dort, wo das Haus ist", "Ja, ich sah Haus und Hof"])
    assert inner("Das Haus ist leer") == "das Haus ist leer"
    assert inner("Haus und Hof") == "Haus und Hof"
    assert inner("Nie gesehen") == "Nie gesehen"  # not known
    assert inner("") == ""
