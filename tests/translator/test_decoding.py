"""Many sentences through one search: greedy is a plain loop, and neither order nor batch size shows in a result."""

import copy
from random import Random

import pytest
import torch

from translator.batch import pad
from translator.config import DecodingOptions
from translator.decoding import decode_all
from translator.engine import DecodingEngine, DecodingSession
from translator.errors import CancelledError, ConfigError
from translator.model import TranslationModel
from translator.scoring import Hypothesis
from translator.tokenizer import Tokenizer

TEXTS = ["the small dog sleeps here.", "why?", "der alte Hund wartet im Haus.", "a", "jump over it, and quickly!"]
GREEDY = DecodingOptions(beam_size=1, max_length_ratio=1.0, max_length_margin=6)
BEAM = DecodingOptions(beam_size=4, n_best=2, max_length_ratio=1.0, max_length_margin=6, coverage_penalty=0.1)


@pytest.fixture(scope="module")
def engine(model: TranslationModel) -> DecodingEngine:
    return DecodingEngine(model, pad_id=Tokenizer.pad_id)


@pytest.fixture(scope="module")
def sources(tokenizer: Tokenizer) -> list[list[int]]:
    return [
        [tokenizer.language_id(language), *tokenizer.encode(text), tokenizer.eos_id]
        for language in ("de", "en")
        for text in TEXTS
    ]


def greedy(model: TranslationModel, tokenizer: Tokenizer, source: list[int], options: DecodingOptions) -> list[int]:
    """The likeliest next token, again and again, each time with the whole teacher-forced pass."""
    never = [tokenizer.pad_id, tokenizer.bos_id, *map(tokenizer.language_id, tokenizer.languages)]
    target: list[int] = []
    while len(target) < options.max_target_length(len(source)) and tokenizer.eos_id not in target:
        output = model(pad([source], tokenizer.pad_id), pad([[tokenizer.bos_id, *target]], tokenizer.pad_id))
        logits = model.logits(output.readout[0, -1])
        logits[never] = -torch.inf
        target.append(int(logits.argmax()))
    return target


def test_a_beam_of_one_is_greedy(
    model: TranslationModel, engine: DecodingEngine, tokenizer: Tokenizer, sources: list[list[int]]
) -> None:
    results = decode_all(engine, tokenizer, sources, options=GREEDY)
    expected = [greedy(model, tokenizer, source, GREEDY) for source in sources]
    assert [list(only.token_ids) for (only,) in results] == expected
    assert [only.finished for (only,) in results] == [target[-1] == tokenizer.eos_id for target in expected]
    assert {only.finished for (only,) in results} == {True, False}  # the tiny model knows both endings


def test_log_probabilities_and_attention_are_those_of_the_teacher_forced_pass(
    model: TranslationModel, engine: DecodingEngine, tokenizer: Tokenizer, sources: list[list[int]]
) -> None:
    for source, (found, *_) in zip(sources, decode_all(engine, tokenizer, sources, options=BEAM), strict=True):
        said = list(found.token_ids)
        output = model(pad([source], 0), pad([[tokenizer.bos_id, *said[:-1]]], 0))
        log_probs = model.logits(output.readout[0]).log_softmax(dim=-1)
        expected = log_probs[torch.arange(len(said)), said]
        torch.testing.assert_close(torch.tensor(found.token_log_probs), expected, atol=1e-4, rtol=0)
        torch.testing.assert_close(found.attention_weights, output.attention_weights[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 64])
@pytest.mark.parametrize("options", [GREEDY, BEAM], ids=["greedy", "beam of four"])
def test_results_do_not_depend_on_batch_size_or_order(
    engine: DecodingEngine, tokenizer: Tokenizer, sources: list[list[int]], batch_size: int, options: DecodingOptions
) -> None:
    alone = [decode_all(engine, tokenizer, [source], options=options)[0] for source in sources]
    order = list(range(len(sources)))
    Random(batch_size).shuffle(order)
    mixed = decode_all(engine, tokenizer, [sources[n] for n in order], options=options, batch_size=batch_size)
    for position, found in zip(order, mixed, strict=True):
        assert same(found, alone[position])


def same(one: list[Hypothesis], other: list[Hypothesis]) -> bool:
    return [each.token_ids for each in one] == [each.token_ids for each in other] and all(
        abs(a.score - b.score) < 1e-4 and torch.allclose(a.attention_weights, b.attention_weights, atol=1e-5)
        for a, b in zip(one, other, strict=True)
    )


def test_padding_bos_and_language_tokens_are_never_said_however_likely(
    tokenizer: Tokenizer, model: TranslationModel, sources: list[list[int]]
) -> None:
    never = [tokenizer.pad_id, tokenizer.bos_id, *map(tokenizer.language_id, tokenizer.languages)]
    eager = copy.deepcopy(model)
    eager.output_bias[never] = 50.0
    results = decode_all(DecodingEngine(eager, pad_id=tokenizer.pad_id), tokenizer, sources, options=BEAM)
    assert not set(never) & {token for found in results for each in found for token in each.token_ids}


def test_the_best_come_first_and_no_more_than_were_asked_for(
    engine: DecodingEngine, tokenizer: Tokenizer, sources: list[list[int]]
) -> None:
    for source, found in zip(sources, decode_all(engine, tokenizer, sources, options=BEAM), strict=True):
        assert len(found) == 2
        assert [each.finished for each in found] == sorted((each.finished for each in found), reverse=True)
        if found[0].finished == found[1].finished:
            assert found[0].score >= found[1].score
        assert all(len(each.token_ids) <= BEAM.max_target_length(len(source)) for each in found)


def test_every_source_is_reported_once(engine: DecodingEngine, tokenizer: Tokenizer, sources: list[list[int]]) -> None:
    reported: list[int] = []
    decode_all(engine, tokenizer, sources, options=GREEDY, batch_size=3, on_finished=reported.append)
    assert sorted(reported) == list(range(len(sources)))


def test_the_longest_go_first_and_new_ones_join_when_half_of_the_batch_has_ended(
    engine: DecodingEngine, tokenizer: Tokenizer, sources: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    lots: list[list[int]] = []
    live_before: list[int] = []
    finished: list[int] = []
    admit = DecodingSession.admit

    def watched_admit(self: DecodingSession, sources: list[list[int]], beam_size: int) -> None:
        live_before.append(sum(map(len, lots)) - len(finished))
        lots.append([len(source) for source in sources])
        admit(self, sources, beam_size)

    monkeypatch.setattr(DecodingSession, "admit", watched_admit)
    decode_all(engine, tokenizer, sources, options=GREEDY, batch_size=4, on_finished=finished.append)
    lengths = sorted(map(len, sources), reverse=True)
    assert [length for lot in lots for length in sorted(lot, reverse=True)] == lengths
    assert live_before[0] == 0
    assert set(live_before[1:]) <= {0, 1, 2}
    assert any(live_before), "none joined while others were being searched"
    assert all(live + len(lot) == 4 for live, lot in zip(live_before[:-1], lots[:-1], strict=True))


def test_nothing_to_do_is_done_at_once(engine: DecodingEngine, tokenizer: Tokenizer) -> None:
    assert decode_all(engine, tokenizer, [], options=GREEDY) == []


def test_cancelling_stops_before_the_next_step(
    engine: DecodingEngine, tokenizer: Tokenizer, sources: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([False, False, False, True])
    steps = 0
    step = DecodingSession.step

    def counted_step(self: DecodingSession, token_ids: torch.Tensor) -> object:
        nonlocal steps
        steps += 1
        return step(self, token_ids)

    monkeypatch.setattr(DecodingSession, "step", counted_step)
    with pytest.raises(CancelledError, match="The translation was cancelled"):
        decode_all(engine, tokenizer, sources, options=GREEDY, cancelled=lambda: next(answers))
    assert steps == 3


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_of_nothing_is_refused(
    engine: DecodingEngine, tokenizer: Tokenizer, sources: list[list[int]], batch_size: int
) -> None:
    with pytest.raises(ConfigError, match=f"batch_size is {batch_size}, wanted at least 1"):
        decode_all(engine, tokenizer, sources, options=GREEDY, batch_size=batch_size)
