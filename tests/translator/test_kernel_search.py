"""The search by the kernels gives at every step what the search that is there to be read gives over the same model."""

import gc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.translator.conftest import make_model, needs_kernels, weights_of
from tests.translator.kernel_stepper import KernelStepper
from translator import kernels
from translator.beam_search import BeamSearch
from translator.config import DecodingOptions
from translator.errors import ConfigError
from translator.kernel_engine import KernelEngine
from translator.kernel_search import KernelSearch
from translator.scoring import Hypothesis, length_penalty
from translator.shortlist import LanguageShortlist, Shortlist
from translator.stepper import StepOutput
from translator.threads import set_thread_count, thread_count

pytestmark = needs_kernels

PAD, UNK, BOS, EOS, LANGUAGE = range(5)
FORBIDDEN = [PAD, BOS, LANGUAGE]
VOCAB = 24
LIBRARIES = [path for path in sorted(Path(kernels.__file__).parent.glob("_kernels*.so")) if kernels._opened(path)]

words = st.lists(st.integers(5, 9), min_size=1, max_size=9)  # of so few that sources say things again
sources = st.lists(words.map(lambda ids: [LANGUAGE, *ids, EOS]), min_size=1, max_size=4)
options = st.builds(
    lambda beam_size, n_best, **rest: DecodingOptions(beam_size=beam_size, n_best=min(n_best, beam_size), **rest),
    beam_size=st.integers(1, 6),
    n_best=st.integers(1, 6),
    length_penalty=st.sampled_from([0.0, 1.0, 1.7]),
    coverage_penalty=st.sampled_from([0.0, 0.0, 0.4]),
    pruning_threshold=st.sampled_from([0.0, 0.5, 1.5]),
    decision_delay=st.sampled_from([0, 1, 3]),
    no_repeat_ngram_size=st.sampled_from([0, 2, 3]),
    max_length_ratio=st.sampled_from([0.5, 2.0]),
    max_length_margin=st.integers(1, 6),
)


@pytest.fixture(scope="module", autouse=True, params=LIBRARIES, ids=lambda path: path.name.split(".")[0])
def _library(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each that this processor can run has a turn, also the one that the quicker one hides."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "_library", lambda: kernels._opened(request.param))
        yield


def engine(
    seed: int = 3,
    *,
    layers: int = 2,
    heads: int = 2,
    lexical_shortcut: bool = True,
    shortlist: Shortlist | None = None,
) -> KernelEngine:
    model = make_model(
        seed, weight=2.0, decoder_layers=layers, attention_heads=heads, lexical_shortcut=lexical_shortcut
    )
    with torch.no_grad():
        model.output_bias[EOS] += 2.0  # some sentences end by themselves, some are cut
    return KernelEngine(weights_of(model), pad_id=PAD, heads=heads, shortlist=shortlist)


def both(engine: KernelEngine, options: DecodingOptions) -> tuple[BeamSearch, KernelSearch]:
    plain = BeamSearch(KernelStepper(engine), bos_id=BOS, eos_id=EOS, options=options, forbidden_ids=FORBIDDEN)
    return plain, KernelSearch(engine, bos_id=BOS, eos_id=EOS, options=options, forbidden_ids=FORBIDDEN)


def assert_same(one: list[tuple[int, list[Hypothesis]]], other: list[tuple[int, list[Hypothesis]]]) -> None:
    assert [ticket for ticket, _ in one] == [ticket for ticket, _ in other]
    for (_, wanted), (_, found) in zip(one, other, strict=True):
        assert [each.token_ids for each in found] == [each.token_ids for each in wanted]
        for hypothesis, expected in zip(found, wanted, strict=True):
            assert hypothesis.finished == expected.finished
            assert hypothesis.token_log_probs == expected.token_log_probs
            assert hypothesis.log_prob == pytest.approx(expected.log_prob)
            assert hypothesis.score == pytest.approx(expected.score, abs=1e-5)
            assert np.array_equal(hypothesis.attention_weights, expected.attention_weights)
            np.testing.assert_allclose(hypothesis.posterior_weights, expected.posterior_weights, atol=1e-5)


@settings(max_examples=150, deadline=None)
@given(sources=sources, options=options, seed=st.integers(0, 50), data=st.data())
def test_sentences_that_come_and_go_are_searched_the_same(
    sources: list[list[int]], options: DecodingOptions, seed: int, data: st.DataObject
) -> None:
    made = engine(seed, layers=1 + seed % 3, heads=1 + seed % 2, lexical_shortcut=seed % 4 > 0)
    plain, by_kernels = both(made, options)
    for step in range(60):
        if step == 0 or data.draw(st.integers(0, 5), label="whether more come") == 0:
            n_best = data.draw(st.lists(st.integers(1, options.n_best), min_size=len(sources), max_size=len(sources)))
            assert plain.admit(sources, n_best=n_best) == by_kernels.admit(sources, n_best=n_best)
        if data.draw(st.integers(0, 9), label="whether one goes") == 0:
            gone = data.draw(st.lists(st.integers(0, 6), max_size=3), label="tickets")
            plain.cancel(gone)
            by_kernels.cancel(gone)
        assert_same(plain.advance(), by_kernels.advance())
        assert plain.live == by_kernels.live
        for ticket in range(6):
            try:
                settled = plain.settled(ticket)
            except KeyError:
                with pytest.raises(KeyError):
                    by_kernels.settled(ticket)
            else:
                assert by_kernels.settled(ticket) == settled
    assert_same(list(plain.run().items()), list(by_kernels.run().items()))


class Listed(KernelStepper):
    """Scores the whole vocabulary and makes that speak of each sentence's pieces alone: what a shortlist means."""

    def __init__(self, engine: KernelEngine, shortlist: Shortlist) -> None:
        super().__init__(engine)
        self.shortlist, self.outside = shortlist, torch.zeros(0, VOCAB, dtype=torch.bool)

    def admit(self, sources: Sequence[Sequence[int]], beam_size: int) -> None:
        super().admit(sources, beam_size)
        outside = torch.zeros(len(sources), VOCAB, dtype=torch.bool)
        for row, source in enumerate(sources):
            if (pieces := self.shortlist.pieces(source)) is not None:
                outside[row] = True
                outside[row, torch.from_numpy(pieces)] = False
        self.outside = torch.cat([self.outside, outside])

    def step(self, token_ids: Tensor, places: Tensor, spare: int = 0) -> StepOutput:
        output = self.step_in_full(token_ids, places)
        outside = self.outside.index_select(0, places // self.beam_size)
        return output._replace(log_probs=output.log_probs.masked_fill(outside, -torch.inf).log_softmax(dim=1))

    def keep(self, sentences: Tensor) -> None:
        super().keep(sentences)
        self.outside = self.outside.index_select(0, sentences)


def make_shortlist(seed: int, languages: Sequence[int]) -> Shortlist:
    """Some pieces of the vocabulary for each language, and some beside each piece but the last, which is unknown."""
    random = np.random.default_rng(seed)
    counts = np.append(random.integers(1, 5, VOCAB - 1), 0)
    return Shortlist(
        {
            language: LanguageShortlist(
                np.union1d(random.integers(0, VOCAB, 4 + 8 * (seed % 2)), [UNK, EOS]),
                np.append(0, counts.cumsum()),
                random.integers(0, VOCAB, counts.sum()),
            )
            for language in languages
        },
        forbidden_ids=FORBIDDEN,
    )


@pytest.mark.parametrize("seed", range(24))
def test_with_a_shortlist_it_searches_among_each_sentences_pieces(seed: int) -> None:
    random = np.random.default_rng(seed)
    other = LANGUAGE + 1  # two languages take turns, a third has no list, and some pieces are unknown
    shortlist = make_shortlist(seed, [LANGUAGE, other])
    model = make_model(seed, weight=2.0, vocab_size=VOCAB)
    with torch.no_grad():
        model.output_bias[EOS] += 2.0
        model.output_bias[FORBIDDEN] = -1000.0
    engine = KernelEngine(weights_of(model), pad_id=PAD, heads=2, shortlist=shortlist)
    options = DecodingOptions(
        beam_size=1 + seed % 5,
        n_best=1 + (seed % 5) // 2,
        pruning_threshold=1.5 * (seed % 2),
        no_repeat_ngram_size=2 * (seed % 3),
        coverage_penalty=0.3 * (seed % 4 == 3),
        max_length_margin=6,
    )
    oracle = BeamSearch(
        Listed(KernelEngine(weights_of(model), pad_id=PAD, heads=2), shortlist),
        bos_id=BOS, eos_id=EOS, options=options, forbidden_ids=FORBIDDEN,
    )  # fmt: skip
    search = KernelSearch(engine, bos_id=BOS, eos_id=EOS, options=options, forbidden_ids=FORBIDDEN)
    sources = [
        [
            int(random.choice([LANGUAGE, other, other + 1])),
            *random.integers(6, VOCAB, random.integers(1, 9)).tolist(),
            EOS,
        ]
        for _ in range(40)
    ]
    assert oracle.admit(sources) == search.admit(sources)
    wanted, found = oracle.run(), search.run()
    for ticket, source in enumerate(sources):
        pieces = shortlist.pieces(source)
        for hypothesis, expected in zip(found[ticket], wanted[ticket], strict=True):
            assert pieces is None or set(hypothesis.token_ids) <= set(pieces.tolist())
            assert hypothesis.score == pytest.approx(expected.score, abs=1e-3)


@settings(max_examples=60, deadline=None)
@given(
    sources=sources,
    said=st.lists(st.lists(st.integers(4, VOCAB - 1), max_size=6), min_size=4, max_size=4),
    seed=st.integers(0, 50),
)
def test_what_is_given_is_scored_as_a_step_scores_it(
    sources: list[list[int]], said: list[list[int]], seed: int
) -> None:
    """Of the whole vocabulary, forbidden tokens too, whoever else is there and whatever the shortlist."""
    made = engine(seed, layers=1 + seed % 3, heads=1 + seed % 2, shortlist=make_shortlist(seed, [LANGUAGE]))
    targets = [[*said[row], EOS] for row in range(len(sources))]
    for source, target, found in zip(sources, targets, made.force(sources, targets, alpha=0.7), strict=True):
        stepper, token, looked = KernelStepper(made), BOS, []
        stepper.admit([source], 1)
        for place, wanted in enumerate(target):
            log_probs, weights, *_ = stepper.step_in_full(torch.tensor([token]), torch.tensor([0]))
            assert found.token_log_probs[place] == pytest.approx(float(log_probs[0, wanted]), abs=1e-4)
            looked.append(weights[0].numpy())
            token = wanted
        assert found.token_ids == tuple(target)
        assert found.finished
        assert found.log_prob == pytest.approx(sum(found.token_log_probs))
        assert found.score == pytest.approx(found.log_prob / length_penalty(len(target), 0.7))
        np.testing.assert_allclose(found.attention_weights, looked, atol=1e-6)
        np.testing.assert_allclose(found.posterior_weights.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("bias", [np.nan, -np.inf])
def test_what_cannot_be_scored_is_as_unlikely_as_can_be(bias: float) -> None:
    model = make_model(3)
    with torch.no_grad():
        model.output_bias.fill_(bias)
    made = KernelEngine(weights_of(model), pad_id=PAD, heads=2)
    [found] = made.force([[LANGUAGE, 7, EOS]], [[9, 5, EOS]], alpha=1.0)
    assert found.token_ids == (9, 5, EOS)
    assert found.token_log_probs == (-1e9,) * 3


@pytest.mark.parametrize("wanted", [[0], [3]])
def test_more_hypotheses_than_the_options_say_are_refused(wanted: list[int]) -> None:
    _, search = both(engine(), DecodingOptions(beam_size=4, n_best=2))
    with pytest.raises(ConfigError, match=r"n_best is \[\d\], wanted 1 to 2 for each sentence"):
        search.admit([[LANGUAGE, 7, EOS]], n_best=wanted)
    assert search.live == 0


class _Failing(NamedTuple):
    """A function of the search that finds no memory."""

    result: int

    def __call__(self, *arguments: object) -> int:
        return self.result


def test_without_memory_nothing_is_live_and_nothing_is_half_told() -> None:
    _, search = both(engine(), DecodingOptions(beam_size=2))
    tickets = search.admit([[LANGUAGE, 7, 8, EOS]] * 3)
    functions = search._functions
    search._functions = functions._replace(advance=_Failing(-1))
    with pytest.raises(MemoryError, match="no memory left to search in"):
        search.advance()
    assert search.live == 0
    search.cancel(tickets)
    search._functions = functions._replace(admit=_Failing(-1))
    with pytest.raises(MemoryError, match="no memory left to search in"):
        search.admit([[LANGUAGE, 7, EOS]])
    assert search.live == 0


def test_many_rows_and_threads_give_what_one_gives() -> None:
    made, options = engine(5), DecodingOptions(beam_size=5, n_best=2)
    random = np.random.default_rng(5)
    sources = [[LANGUAGE, *random.integers(5, 24, random.integers(1, 20)).tolist(), EOS] for _ in range(90)]
    threads, found = thread_count(), []
    for count in (1, 3):
        set_thread_count(count)
        search = KernelSearch(made, bos_id=BOS, eos_id=EOS, options=options, forbidden_ids=FORBIDDEN)
        search.admit(sources)
        found.append(list(search.run().items()))
    set_thread_count(threads)
    assert_same(*found)


def test_nothing_to_search_is_nothing_found() -> None:
    _, search = both(engine(), DecodingOptions())
    assert search.admit([]) == []
    assert search.advance() == []
    search.cancel([4])
    assert search.run() == {}


def test_an_end_that_is_forbidden_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing could end"):
        KernelSearch(engine(), bos_id=BOS, eos_id=EOS, options=DecodingOptions(), forbidden_ids=[EOS])


def test_a_search_outlives_the_names_of_its_engine() -> None:
    _, search = both(engine(), DecodingOptions(beam_size=2))
    search.admit([[LANGUAGE, 7, 8, EOS]] * 3)
    gc.collect()
    assert len(search.run()) == 3
