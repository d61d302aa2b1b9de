"""The beam search against enumeration, a plain greedy loop and a plain beam search; and that sentences never meet."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.translator.search_oracle import (
    BOS,
    DEAD,
    EOS,
    FORBIDDEN,
    PAD,
    Ids,
    ToyModel,
    ToyStepper,
    exhaustive,
    greedy,
    log_prob_of,
    plain_beam_search,
    plain_live,
    score_of,
)
from translator.beam_search import BeamSearch
from translator.config import DecodingOptions
from translator.errors import ConfigError
from translator.scoring import Hypothesis
from translator.stepper import StepOutput

SOURCE = (4, 5, EOS)
SOURCES = ((4, EOS), (5, 4, 4, 5, 4, EOS), (4, 4, EOS), (5, EOS), (5, 5, 4, EOS))
PENALTIES = [(0.0, 0.0), (1.0, 0.0), (0.6, 0.2), (2.0, 1.0), (0.0, 0.5)]
PENALTY_NAMES = ["no penalty", "length", "a little of both", "much of both", "coverage"]

seeds = st.integers(0, 10**9)
penalties = st.sampled_from(PENALTIES)


def options_for(
    beam_size: int,
    *,
    n_best: int = 1,
    penalty: tuple[float, float] = (1.0, 0.0),
    max_length: int = 4,
    threshold: float = 0.0,
    delay: int = 0,
    no_repeat: int = 0,
) -> DecodingOptions:
    return DecodingOptions(
        beam_size=beam_size,
        n_best=n_best,
        length_penalty=penalty[0],
        coverage_penalty=penalty[1],
        pruning_threshold=threshold,
        decision_delay=delay,
        no_repeat_ngram_size=no_repeat,
        max_length_ratio=0.0,
        max_length_margin=max_length,
    )


def search_of(model: ToyModel, options: DecodingOptions, *, frugal: bool = False) -> tuple[BeamSearch, ToyStepper]:
    stepper = ToyStepper(model, frugal=frugal)
    return BeamSearch(stepper, bos_id=BOS, eos_id=EOS, options=options, forbidden_ids=FORBIDDEN), stepper


def alone(model: ToyModel, source: Ids, options: DecodingOptions, *, frugal: bool = False) -> list[Hypothesis]:
    search, _ = search_of(model, options, frugal=frugal)
    [ticket] = search.admit([source])
    return search.run()[ticket]


def same(left: list[Hypothesis], right: list[Hypothesis]) -> bool:
    """Equal to the last bit, attention too."""

    def facts(each: Hypothesis) -> tuple[object, ...]:
        attention = tuple(map(tuple, each.attention_weights.tolist()))
        return each.token_ids, each.token_log_probs, each.log_prob, each.score, each.finished, attention

    return [facts(each) for each in left] == [facts(each) for each in right]


def no_eos(log_probs: Tensor, source: Ids, prefix: Ids) -> Tensor:
    return log_probs.masked_fill(torch.arange(len(log_probs)) == EOS, DEAD)


# --- what is found ------------------------------------------------------------------------------------------------


@given(seed=seeds, max_length=st.integers(1, 12), penalty=penalties)
def test_a_beam_of_one_is_greedy_search(seed: int, max_length: int, penalty: tuple[float, float]) -> None:
    model = ToyModel(seed, eos_logit=-1.0)
    [hypothesis] = alone(model, SOURCE, options_for(1, penalty=penalty, max_length=max_length))
    assert hypothesis.token_ids == greedy(model, SOURCE, max_length)
    assert hypothesis.finished == (EOS in hypothesis.token_ids)


@pytest.mark.parametrize("penalty", PENALTIES, ids=PENALTY_NAMES)
@given(seed=seeds, eos_logit=st.sampled_from([-3.0, 0.0, 2.0]), impossible=st.sampled_from([0.0, 0.3, 0.7]))
@settings(max_examples=15)
def test_a_wide_beam_finds_what_enumeration_finds(
    penalty: tuple[float, float], seed: int, eos_logit: float, impossible: float
) -> None:
    model = ToyModel(seed, vocab_size=6, eos_logit=eos_logit, impossible=impossible)
    for n_best in (1, 5, 200):  # 40 strings of up to 4 tokens end with eos, 81 are cut
        options = options_for(200, n_best=n_best, penalty=penalty)
        expected = exhaustive(model, SOURCE, options)[:n_best]
        hypotheses = alone(model, SOURCE, options)
        assert [each.score for each in hypotheses] == pytest.approx([each.score for each in expected], abs=1e-4)
        assert [each.finished for each in hypotheses] == [each.finished for each in expected]
        assert len({each.token_ids for each in hypotheses}) == len(hypotheses)
        for each in hypotheses:
            assert each.score == pytest.approx(score_of(model, SOURCE, each.token_ids, options), abs=1e-4)


@given(
    seed=seeds,
    beam_size=st.integers(1, 6),
    max_length=st.integers(1, 24),
    penalty=penalties,
    eos_logit=st.sampled_from([-4.0, -2.0, 0.0, 2.0]),
    impossible=st.sampled_from([0.0, 0.3]),
    threshold=st.sampled_from([0.0, 0.5, 1.5, 4.0]),
    delay=st.integers(0, 4),
    no_repeat=st.sampled_from([0, 0, 2, 3]),
    source=st.sampled_from([SOURCE, *SOURCES]),
    frugal=st.booleans(),
    data=st.data(),
)
def test_stopping_early_gives_what_running_to_the_end_gives(
    seed: int,
    beam_size: int,
    max_length: int,
    penalty: tuple[float, float],
    eos_logit: float,
    impossible: float,
    threshold: float,
    delay: int,
    no_repeat: int,
    source: Ids,
    frugal: bool,
    data: st.DataObject,
) -> None:
    n_best = data.draw(st.integers(1, beam_size))
    model = ToyModel(seed, vocab_size=8, eos_logit=eos_logit, impossible=impossible)
    options = options_for(
        beam_size,
        n_best=n_best,
        penalty=penalty,
        max_length=max_length,
        threshold=threshold,
        delay=delay,
        no_repeat=no_repeat,
    )
    expected = plain_beam_search(model, source, options)
    hypotheses = alone(model, source, options, frugal=frugal)
    assert [each.token_ids for each in hypotheses] == [each.token_ids for each in expected]
    assert [each.finished for each in hypotheses] == [each.finished for each in expected]


def test_a_long_hypothesis_that_will_win_is_waited_for() -> None:
    """Ending at once scores -1; going on costs -1.5, nothing more, and 9 tokens are worth -1.5 / (14 / 6) = -0.64."""

    def long_run(log_probs: Tensor, source: Ids, prefix: Ids) -> Tensor:
        cost = {0: {EOS: -1.0, 4: -1.5}, 8: {EOS: 0.0}}.get(len(prefix), {4: 0.0})
        return torch.tensor([cost.get(token, -9.0 - token) for token in range(len(log_probs))])

    model = ToyModel(0, change=long_run)
    [hypothesis] = alone(model, SOURCE, options_for(2, max_length=9))
    assert hypothesis.token_ids == (*[4] * 8, EOS)
    assert hypothesis.score == pytest.approx(-1.5 * 6 / 14)


@given(seed=seeds, threshold=st.sampled_from([0.0, 0.5, 2.0]), delay=st.integers(0, 3))
def test_rows_are_stepped_only_where_a_hypothesis_lives(seed: int, threshold: float, delay: int) -> None:
    """A plain search is asked how many live at each length: what is stepped is that, and one row to begin with."""
    model = ToyModel(seed, vocab_size=8, eos_logit=-1.0)
    options = options_for(4, max_length=6, threshold=threshold, delay=delay)
    search, stepper = search_of(model, options)
    search.admit([SOURCE])
    search.run()
    prefixes = plain_live(model, SOURCE, options)
    assert stepper.rows_per_step == [len(each) for each in prefixes][: len(stepper.rows_per_step)]


def test_a_hypothesis_that_falls_behind_is_not_continued() -> None:
    """The second word costs 3 more; with a threshold of 2 it is not waited for, though it would win in the end."""

    def late(log_probs: Tensor, source: Ids, prefix: Ids) -> Tensor:
        cost = {(): {4: -0.1, 5: -3.1}, (4,): {EOS: -9.0}, (5,): {EOS: -0.1}}.get(prefix, {})
        return torch.tensor([cost.get(token, -20.0 - token) for token in range(len(log_probs))])

    for threshold, expected in ((0.0, (5, EOS)), (4.0, (5, EOS)), (2.0, (4, EOS))):
        options = options_for(2, max_length=2, threshold=threshold)
        assert alone(ToyModel(0, change=late), SOURCE, options)[0].token_ids == expected


@given(seed=seeds, beam_size=st.integers(2, 5), delay=st.integers(1, 4))
@settings(max_examples=40)
def test_who_reads_along_waits_for_no_more_than_the_delay(seed: int, beam_size: int, delay: int) -> None:
    search, _ = search_of(ToyModel(seed, change=no_eos), options_for(beam_size, max_length=12, delay=delay))
    [ticket] = search.admit([SOURCE])
    told: list[int] = []
    for age in range(1, 12):
        assert search.advance() == []
        now = search.settled(ticket)
        assert now[: len(told)] == told
        assert len(now) >= age - delay
        told = now
    [(_, [hypothesis])] = search.advance()
    assert list(hypothesis.token_ids[: len(told)]) == told


def test_the_likeliest_decides_after_the_delay_where_one_translation_is_wanted() -> None:
    """Beginning with 5 costs 1 more and wins by 3 with the fourth token, if it is still there."""

    def late(log_probs: Tensor, source: Ids, prefix: Ids) -> Tensor:
        cost = {(): {4: -0.1, 5: -1.1}, (4, 4, 4): {EOS: -4.0}, (5, 4, 4): {EOS: 0.0}}.get(prefix, {4: 0.0})
        return torch.tensor([cost.get(token, -20.0 - token) for token in range(len(log_probs))])

    for delay, expected in ((0, 5), (1, 4), (2, 4), (3, 5), (9, 5)):
        [hypothesis] = alone(ToyModel(0, change=late), SOURCE, options_for(2, delay=delay))
        assert hypothesis.token_ids == (expected, 4, 4, EOS)
    both = alone(ToyModel(0, change=late), SOURCE, options_for(2, n_best=2, delay=1))
    assert [each.token_ids[0] for each in both] == [5, 4]


def test_what_was_said_is_not_said_again_unless_the_source_repeats_itself() -> None:
    """The likeliest is 4 5 4 5 4 5 4 5 and an end."""

    def circles(log_probs: Tensor, source: Ids, prefix: Ids) -> Tensor:
        cost = {5 if prefix[-1:] == (4,) else 4: -0.1, EOS: 0.0 if len(prefix) == 8 else -60.0}
        return torch.tensor([cost.get(token, -20.0 - token) for token in range(len(log_probs))])

    def said(source: Ids, size: int) -> Ids:
        return alone(ToyModel(0, change=circles), source, options_for(2, max_length=9, no_repeat=size))[0].token_ids

    circle = (*(4, 5) * 4, EOS)
    assert said((4, 5, 6, EOS), 0) == circle
    assert said((4, 5, 4, 5, EOS), 3) == circle, "4 5 stands in the source twice"
    straight = said((4, 5, 6, EOS), 3)
    assert straight[-1] == EOS
    stretches = list(zip(straight, straight[1:], straight[2:], strict=False))
    assert len(set(stretches)) == len(stretches)


def test_it_does_stop_early() -> None:
    """Ending at once scores -0.1; all else begins with -10, of which 9 tokens leave at least -10 / (14 / 6) = -4.3."""

    def eos_first(log_probs: Tensor, source: Ids, prefix: Ids) -> Tensor:
        return torch.full_like(log_probs, -10.0).index_fill(0, torch.tensor(EOS), -0.1)

    search, stepper = search_of(ToyModel(0, change=eos_first), options_for(4, max_length=9))
    search.admit([SOURCE])
    search.run()
    assert len(stepper.rows_per_step) == 1


@given(seed=seeds, penalty=penalties)
@settings(max_examples=30)
def test_what_is_said_of_a_hypothesis_is_true_of_its_own_prefix(seed: int, penalty: tuple[float, float]) -> None:
    model = ToyModel(seed, vocab_size=9, eos_logit=-1.0)
    hypotheses = alone(model, SOURCE, options_for(5, n_best=5, penalty=penalty, max_length=20))
    assert len(hypotheses) == 5
    for each in hypotheses:
        prefixes = [each.token_ids[:t] for t in range(len(each.token_ids))]
        pairs = zip(prefixes, each.token_ids, strict=True)
        assert each.token_log_probs == tuple(float(model.log_probs(SOURCE, prefix)[token]) for prefix, token in pairs)
        assert np.array_equal(
            each.attention_weights, torch.stack([model.attention(SOURCE, p) for p in prefixes]).numpy()
        )
        explained = np.array(each.token_ids)[:, None] - each.attention_weights
        assert np.array_equal(each.posterior_weights, explained.astype(np.float32)), "as the stepper says"
        assert each.log_prob == sum(each.token_log_probs)
        assert each.log_prob == pytest.approx(log_prob_of(model, SOURCE, each.token_ids))
    ranks = [(each.finished, each.score) for each in hypotheses]
    assert ranks == sorted(ranks, reverse=True)


@given(seed=seeds, beam_size=st.integers(1, 6))
@settings(max_examples=30)
def test_forbidden_tokens_never_appear(seed: int, beam_size: int) -> None:
    model = ToyModel(seed, forbidden_logit=8.0)  # the likeliest of all
    for each in alone(model, SOURCE, options_for(beam_size, n_best=beam_size, max_length=8)):
        assert not set(each.token_ids) & set(FORBIDDEN)


def test_without_eos_all_are_cut_at_the_maximum_length_and_say_so() -> None:
    hypotheses = alone(ToyModel(1, change=no_eos), SOURCE, options_for(4, n_best=4, max_length=7))
    assert [(len(each.token_ids), each.finished) for each in hypotheses] == [(7, False)] * 4


@pytest.mark.parametrize("vocab_size", [4, 5, 6], ids=["unk and eos", "one word", "two words"])
def test_a_beam_wider_than_the_vocabulary(vocab_size: int) -> None:
    options = options_for(90, n_best=90, max_length=3)
    model = ToyModel(7, vocab_size=vocab_size)
    expected = exhaustive(model, SOURCE, options)
    hypotheses = alone(model, SOURCE, options)
    assert {each.token_ids for each in hypotheses} == {each.token_ids for each in expected}


def test_where_nothing_is_possible_there_is_no_hypothesis() -> None:
    model = ToyModel(0, change=lambda log_probs, source, prefix: torch.full_like(log_probs, DEAD))
    assert alone(model, SOURCE, options_for(3)) == []


def test_not_a_number_harms_only_its_own_sentence() -> None:
    def broken(log_probs: Tensor, source: Ids, prefix: Ids) -> Tensor:
        return log_probs * torch.nan if source == SOURCES[0] and len(prefix) == 2 else log_probs

    options = options_for(3, max_length=9)
    search, _ = search_of(ToyModel(5, eos_logit=-9.0, change=broken), options)
    tickets = search.admit(SOURCES[:2])
    results = search.run()
    assert results[tickets[0]] == []
    assert same(results[tickets[1]], alone(ToyModel(5, eos_logit=-9.0), SOURCES[1], options))


# --- sentences come and go ----------------------------------------------------------------------------------------


@given(
    seed=seeds,
    delays=st.lists(st.integers(0, 6), min_size=5, max_size=5),
    order=st.permutations(SOURCES),
    beam_size=st.integers(1, 4),
    penalty=penalties,
    threshold=st.sampled_from([0.0, 0.5, 2.0]),
    decision_delay=st.integers(0, 3),
    no_repeat=st.sampled_from([0, 2, 3]),
)
def test_a_sentence_among_others_is_as_if_alone(
    seed: int,
    delays: list[int],
    order: list[Ids],
    beam_size: int,
    penalty: tuple[float, float],
    threshold: float,
    decision_delay: int,
    no_repeat: int,
) -> None:
    model = ToyModel(seed, eos_logit=-1.0, impossible=0.1)
    options = DecodingOptions(
        beam_size=beam_size,
        n_best=1 if threshold or decision_delay else beam_size,
        length_penalty=penalty[0],
        coverage_penalty=penalty[1],
        pruning_threshold=threshold,
        decision_delay=decision_delay,
        no_repeat_ngram_size=no_repeat,
    )
    search, _ = search_of(model, options)
    results: dict[int, list[Hypothesis]] = {}
    tickets: dict[int, Ids] = {}
    for step in range(max(delays) + 1):
        arriving = [source for source, delay in zip(order, delays, strict=True) if delay == step]
        tickets.update(zip(search.admit(arriving), arriving, strict=True))
        results.update(search.advance())
    results.update(search.run())
    assert results.keys() == tickets.keys()
    for ticket, source in tickets.items():
        assert same(results[ticket], alone(model, source, options))


@given(
    seed=seeds,
    before=st.integers(0, 5),
    gone=st.sets(st.integers(0, 4), min_size=1),
    penalty=penalties,
    threshold=st.sampled_from([0.0, 1.0]),
)
@settings(max_examples=40)
def test_cancelled_sentences_free_their_rows_and_nobody_notices(
    seed: int, before: int, gone: set[int], penalty: tuple[float, float], threshold: float
) -> None:
    options = options_for(3, penalty=penalty, max_length=12, threshold=threshold)
    model = ToyModel(seed, change=no_eos)  # so that all live for 12 steps
    search, stepper = search_of(model, options)
    tickets = search.admit(SOURCES)
    for _ in range(before):
        assert search.advance() == []
    search.cancel([tickets[i] for i in gone])
    assert search.live == 5 - len(gone)
    [late] = search.admit([SOURCE])
    results = search.run()
    rows_each = 3 if before else 1  # who has just come has one
    if threshold:
        assert 6 - len(gone) <= stepper.rows_per_step[before] <= rows_each * (5 - len(gone)) + 1
    else:
        assert stepper.rows_per_step[before] == rows_each * (5 - len(gone)) + 1
    assert results.keys() == {late} | {ticket for i, ticket in enumerate(tickets) if i not in gone}
    for ticket, hypotheses in results.items():
        source = SOURCE if ticket == late else SOURCES[ticket - tickets[0]]
        assert same(hypotheses, alone(model, source, options))


def test_cancelling_twice_unknown_or_finished_tickets_changes_nothing() -> None:
    search, _ = search_of(ToyModel(3), options_for(2))
    finished = search.admit([SOURCE])
    search.run()
    [ticket, other] = search.admit(SOURCES[:2])
    search.cancel([*finished, 99, -1])
    assert search.live == 2
    search.cancel([ticket])
    search.cancel([ticket])
    assert search.live == 1
    assert search.run().keys() == {other}


def test_when_all_are_cancelled_no_step_is_made() -> None:
    search, stepper = search_of(ToyModel(3), options_for(2))
    search.cancel(search.admit(SOURCES))
    assert (search.live, search.run(), search.live) == (0, {}, 0)
    assert stepper.rows_per_step == []
    assert stepper.sources == []


def test_an_empty_machine_can_be_stepped_and_filled_again() -> None:
    options = options_for(3, n_best=2, penalty=(1.0, 0.2), max_length=6)
    model = ToyModel(11)
    search, stepper = search_of(model, options)
    assert (search.admit([]), search.advance(), search.run()) == ([], [], {})
    seen: set[int] = set()
    for source in SOURCES:
        [ticket] = search.admit([source])
        assert ticket not in seen
        seen.add(ticket)
        assert same(search.run()[ticket], alone(model, source, options))
        assert stepper.sources == []


def test_a_beam_of_one_is_never_reordered() -> None:
    search, stepper = search_of(ToyModel(2, eos_logit=-2.0), options_for(1, max_length=20))
    search.admit([SOURCE])
    search.run()
    assert stepper.reorders == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_an_accelerator_as_on_the_processor() -> None:
    options = options_for(4, n_best=4, penalty=(0.6, 0.2), max_length=20)
    model = ToyModel(13, vocab_size=30, eos_logit=-1.0)
    stepper = ToyStepper(model, device="cuda")
    search = BeamSearch(stepper, bos_id=BOS, eos_id=EOS, options=options, forbidden_ids=FORBIDDEN, device="cuda")
    tickets = search.admit(SOURCES[:3])
    search.advance()
    tickets += search.admit(SOURCES[3:])
    search.cancel(tickets[1:2])
    results = search.run()
    for ticket, source in zip(tickets, SOURCES, strict=True):
        if ticket != tickets[1]:
            expected = alone(model, source, options)
            assert [each.token_ids for each in results[ticket]] == [each.token_ids for each in expected]


# --- misuse -------------------------------------------------------------------------------------------------------


def test_eos_cannot_be_forbidden() -> None:
    with pytest.raises(ConfigError, match="holds the eos_id 3: nothing could end; take it out"):
        BeamSearch(ToyStepper(ToyModel(0)), bos_id=BOS, eos_id=EOS, options=options_for(1), forbidden_ids=[PAD, EOS])


class _Narrow(ToyStepper):
    def step(self, token_ids: Tensor, places: Tensor, spare: int = 0) -> StepOutput:
        log_probs, attention_weights, states, _ = super().step(token_ids, places, spare)
        return StepOutput(log_probs, attention_weights[:, :1], states)


def test_attention_that_does_not_reach_the_end_of_a_source_is_refused() -> None:
    search = BeamSearch(_Narrow(ToyModel(0)), bos_id=BOS, eos_id=EOS, options=options_for(2))
    search.admit([SOURCE])
    with pytest.raises(ValueError, match="wanted 1 rows each and at least 3 source tokens"):
        search.advance()
