"""Many sentences through one search: greedy is a plain loop, and neither order nor batch size shows in a result."""

import copy
from random import Random

import numpy as np
import pytest
import torch

from translator.batch import pad
from translator.beam_search import BeamSearch
from translator.config import DecodingOptions
from translator.decoding import CROWD, DecodingQueue, decode_all
from translator.decoding_session import DecodingSession
from translator.errors import CancelledError, ConfigError
from translator.model import TranslationModel
from translator.pytorch_engine import PyTorchEngine
from translator.scoring import Hypothesis
from translator.tokenizer import Tokenizer

TEXTS = ["the small dog sleeps here.", "why?", "der alte Hund wartet im Haus.", "a", "jump over it, and quickly!"]
GREEDY = DecodingOptions(beam_size=1, max_length_ratio=1.0, max_length_margin=6)
BEAM = DecodingOptions(beam_size=4, n_best=2, max_length_ratio=1.0, max_length_margin=6, coverage_penalty=0.1)


@pytest.fixture(scope="module")
def engine(model: TranslationModel) -> PyTorchEngine:
    return PyTorchEngine(model, pad_id=Tokenizer.pad_id)


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
    model: TranslationModel, engine: PyTorchEngine, tokenizer: Tokenizer, sources: list[list[int]]
) -> None:
    results = decode_all(engine, tokenizer, sources, options=GREEDY)
    expected = [greedy(model, tokenizer, source, GREEDY) for source in sources]
    assert [list(only.token_ids) for (only,) in results] == expected
    assert [only.finished for (only,) in results] == [target[-1] == tokenizer.eos_id for target in expected]
    assert {only.finished for (only,) in results} == {True, False}  # the tiny model knows both endings


def test_log_probabilities_and_attention_are_those_of_the_teacher_forced_pass(
    model: TranslationModel, engine: PyTorchEngine, tokenizer: Tokenizer, sources: list[list[int]]
) -> None:
    for source, (found, *_) in zip(sources, decode_all(engine, tokenizer, sources, options=BEAM), strict=True):
        said = list(found.token_ids)
        output = model(pad([source], 0), pad([[tokenizer.bos_id, *said[:-1]]], 0))
        log_probs = model.logits(output.readout[0]).log_softmax(dim=-1)
        expected = log_probs[torch.arange(len(said)), said]
        torch.testing.assert_close(torch.tensor(found.token_log_probs), expected, atol=1e-4, rtol=0)
        np.testing.assert_allclose(found.attention_weights, output.attention_weights[0].numpy(), atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 64])
@pytest.mark.parametrize("options", [GREEDY, BEAM], ids=["greedy", "beam of four"])
def test_results_do_not_depend_on_batch_size_or_order(
    engine: PyTorchEngine, tokenizer: Tokenizer, sources: list[list[int]], batch_size: int, options: DecodingOptions
) -> None:
    alone = [decode_all(engine, tokenizer, [source], options=options)[0] for source in sources]
    order = list(range(len(sources)))
    Random(batch_size).shuffle(order)
    mixed = decode_all(engine, tokenizer, [sources[n] for n in order], options=options, batch_size=batch_size)
    for position, found in zip(order, mixed, strict=True):
        assert same(found, alone[position])


def same(one: list[Hypothesis], other: list[Hypothesis]) -> bool:
    return [each.token_ids for each in one] == [each.token_ids for each in other] and all(
        abs(a.score - b.score) < 1e-4
        and np.allclose(a.attention_weights, b.attention_weights, atol=1e-5)
        and np.allclose(a.posterior_weights, b.posterior_weights, atol=1e-2)  # remembered in bfloat16
        for a, b in zip(one, other, strict=True)
    )


def test_padding_bos_and_language_tokens_are_never_said_however_likely(
    tokenizer: Tokenizer, model: TranslationModel, sources: list[list[int]]
) -> None:
    never = [tokenizer.pad_id, tokenizer.bos_id, *map(tokenizer.language_id, tokenizer.languages)]
    eager = copy.deepcopy(model)
    eager.output_bias[never] = 50.0
    results = decode_all(PyTorchEngine(eager, pad_id=tokenizer.pad_id), tokenizer, sources, options=BEAM)
    assert not set(never) & {token for found in results for each in found for token in each.token_ids}


def test_the_best_come_first_and_no_more_than_were_asked_for(
    engine: PyTorchEngine, tokenizer: Tokenizer, sources: list[list[int]]
) -> None:
    for source, found in zip(sources, decode_all(engine, tokenizer, sources, options=BEAM), strict=True):
        assert len(found) == 2
        assert [each.finished for each in found] == sorted((each.finished for each in found), reverse=True)
        if found[0].finished == found[1].finished:
            assert found[0].score >= found[1].score
        assert all(len(each.token_ids) <= BEAM.max_target_length(len(source)) for each in found)


def test_every_source_ends_once(engine: PyTorchEngine, tokenizer: Tokenizer, sources: list[list[int]]) -> None:
    queue = DecodingQueue(engine, tokenizer, options=GREEDY, batch_size=3)
    lot = queue.add(sources)
    ended = [each for _ in range(100) for each in queue.advance()]
    assert sorted(position for _, position, _ in ended) == list(range(len(sources)))
    assert {each.lot for each in ended} == {lot}
    assert not queue.busy
    assert queue.live == 0


def test_a_lot_that_has_just_come_does_not_wait_for_room(
    engine: PyTorchEngine, tokenizer: Tokenizer, sources: list[list[int]]
) -> None:
    queue = DecodingQueue(engine, tokenizer, options=GREEDY, batch_size=2)
    queue.add(sources)
    queue.advance()
    assert queue.live == 2
    late = [queue.add(sources[:1]), queue.add(sources[1:3]), queue.add(sources[3:5])]
    queue.advance()
    assert queue.live == CROWD * 2, "one sentence of each of the first two, and no more than twice the batch"
    ended = [each.lot for _ in range(100) for each in queue.advance()]
    assert [ended.count(number) for number in late] == [1, 2, 2]


@pytest.fixture
def endless(engine: PyTorchEngine, tokenizer: Tokenizer, sources: list[list[int]]) -> DecodingQueue:
    """Sixteen sentences of as many lots in the search, of which none ends for a while."""
    options = DecodingOptions(beam_size=1, max_length_ratio=0.0, max_length_margin=99)
    queue = DecodingQueue(engine, tokenizer, options=options)
    assert isinstance(queue._search, BeamSearch)
    queue._search._eos_id = -1
    for _ in range(16):
        queue.add(sources[:1])
    queue.advance()
    assert queue.live == 16
    return queue


def lives(queue: DecodingQueue, steps: int) -> list[int]:
    found = []
    for _ in range(steps):
        queue.advance()
        found.append(queue.live)
    return found


def test_one_that_comes_to_many_joins_within_three_steps(endless: DecodingQueue, sources: list[list[int]]) -> None:
    endless.add(sources[:1])
    assert lives(endless, 5) == [16, 16, 16, 17, 17]
    gone = endless.add(sources[:1])
    assert lives(endless, 2) == [17, 17]
    endless.withdraw(gone)
    assert lives(endless, 1) == [17]
    endless.add(sources[:1])
    assert lives(endless, 4) == [17, 17, 17, 18], "who comes later waits as long"


def test_a_quarter_of_those_in_the_search_joins_at_once(endless: DecodingQueue, sources: list[list[int]]) -> None:
    for _ in range(3):
        endless.add(sources[:1])
    assert lives(endless, 2) == [16, 16]
    endless.add(sources[:1])
    assert lives(endless, 1) == [20]
    endless.add(sources[:5])
    assert lives(endless, 1) == [25], "one lot of five does not wait either"


def test_lots_take_turns(engine: PyTorchEngine, tokenizer: Tokenizer, sources: list[list[int]]) -> None:
    queue = DecodingQueue(engine, tokenizer, options=GREEDY, batch_size=1)
    long, short = queue.add([*sources, *sources]), queue.add(sources[:2])
    ended = [each.lot for _ in range(400) for each in queue.advance()]
    assert sorted(ended) == [long] * 20 + [short] * 2
    assert ended.index(short) < 4, "two sentences do not wait behind twenty"
    assert [place for place, lot in enumerate(ended) if lot == short][1] < 6


def test_a_long_sentence_is_not_overtaken_for_ever(
    engine: PyTorchEngine, tokenizer: Tokenizer, sources: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = max(sources, key=len)
    monkeypatch.setattr("translator.decoding.MAX_BATCH_TOKENS", 2 * len(long))
    queue = DecodingQueue(engine, tokenizer, options=GREEDY, batch_size=64)
    waiting = None
    ended: set[int] = set()
    for step in range(60):
        queue.add(sources[3:4])
        queue.add(sources[3:4])
        if step == 5:
            waiting = queue.add([long])
        ended |= {each.lot for each in queue.advance()}
    assert waiting in ended


def test_a_withdrawn_lot_frees_its_rows_before_the_next_step(
    engine: PyTorchEngine, tokenizer: Tokenizer, sources: list[list[int]]
) -> None:
    queue = DecodingQueue(engine, tokenizer, options=BEAM, batch_size=4)
    gone, stays = queue.add(sources), queue.add(sources[:2])
    queue.advance()
    queue.withdraw(gone)
    queue.withdraw(gone)
    assert queue.live == 2
    ended = [each for _ in range(100) for each in queue.advance()]
    assert {each.lot for each in ended} == {stays}
    expected = decode_all(engine, tokenizer, sources[:2], options=BEAM)
    for _, position, found in ended:
        assert same(found, expected[position])


def test_in_order_the_first_go_first(engine: PyTorchEngine, tokenizer: Tokenizer, sources: list[list[int]]) -> None:
    queue = DecodingQueue(engine, tokenizer, options=GREEDY, batch_size=1)
    queue.add(sources, in_order=True)
    assert [each.position for _ in range(200) for each in queue.advance()] == list(range(len(sources)))


def test_each_lot_has_the_number_of_answers_it_asked_for(
    engine: PyTorchEngine, tokenizer: Tokenizer, sources: list[list[int]]
) -> None:
    queue = DecodingQueue(engine, tokenizer, options=BEAM)
    one, two = queue.add(sources, n_best=1), queue.add(sources)
    found = {(lot, position): answers for _ in range(100) for lot, position, answers in queue.advance()}
    for position in range(len(sources)):
        assert len(found[one, position]) == 1
        assert len(found[two, position]) == 2
        assert same(found[one, position], found[two, position][:1])


def test_what_is_settled_only_grows_and_is_what_comes(
    engine: PyTorchEngine, tokenizer: Tokenizer, sources: list[list[int]]
) -> None:
    queue = DecodingQueue(engine, tokenizer, options=BEAM, batch_size=4)
    lot = queue.add(sources)
    told: dict[int, list[list[int]]] = {position: [] for position in range(len(sources))}
    ended: dict[int, list[int]] = {}
    while queue.busy:
        ended |= {position: list(found[0].token_ids) for _, position, found in queue.advance()}
        for position in told.keys() - ended.keys():
            told[position].append(queue.settled(lot, position))
    assert any(len(settled) > 1 for history in told.values() for settled in history)
    for position, history in told.items():
        for before, after in zip(history, [*history[1:], ended[position]], strict=True):
            assert after[: len(before)] == before
    with pytest.raises(KeyError):
        queue.settled(lot, 0)


def test_the_longest_go_first_and_new_ones_join_when_half_of_the_batch_has_ended(
    engine: PyTorchEngine, tokenizer: Tokenizer, sources: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    lots: list[list[int]] = []
    live_before: list[int] = []
    finished: list[int] = []
    advance = BeamSearch.advance
    admit = DecodingSession.admit

    def watched_admit(self: DecodingSession, sources: list[list[int]], beam_size: int) -> None:
        live_before.append(sum(map(len, lots)) - len(finished))
        lots.append([len(source) for source in sources])
        admit(self, sources, beam_size)

    def watched_advance(self: BeamSearch) -> list[tuple[int, list[Hypothesis]]]:
        ended = advance(self)
        finished.extend(ticket for ticket, _ in ended)
        return ended

    monkeypatch.setattr(DecodingSession, "admit", watched_admit)
    monkeypatch.setattr(BeamSearch, "advance", watched_advance)
    decode_all(engine, tokenizer, sources, options=GREEDY, batch_size=4)
    lengths = sorted(map(len, sources), reverse=True)
    assert [length for lot in lots for length in sorted(lot, reverse=True)] == lengths
    assert live_before[0] == 0
    assert set(live_before[1:]) <= {0, 1, 2}
    assert any(live_before), "none joined while others were being searched"
    assert all(live + len(lot) == 4 for live, lot in zip(live_before[:-1], lots[:-1], strict=True))


def test_nothing_to_do_is_done_at_once(engine: PyTorchEngine, tokenizer: Tokenizer) -> None:
    assert decode_all(engine, tokenizer, [], options=GREEDY) == []


def test_cancelling_stops_before_the_next_step(
    engine: PyTorchEngine, tokenizer: Tokenizer, sources: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([False, False, False, True])
    steps = 0
    step = DecodingSession.step

    def counted_step(self: DecodingSession, token_ids: torch.Tensor, places: torch.Tensor, spare: int = 0) -> object:
        nonlocal steps
        steps += 1
        return step(self, token_ids, places, spare)

    monkeypatch.setattr(DecodingSession, "step", counted_step)
    with pytest.raises(CancelledError, match="The translation was cancelled"):
        decode_all(engine, tokenizer, sources, options=GREEDY, cancelled=lambda: next(answers))
    assert steps == 3


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_of_nothing_is_refused(
    engine: PyTorchEngine, tokenizer: Tokenizer, sources: list[list[int]], batch_size: int
) -> None:
    with pytest.raises(ConfigError, match=f"batch_size is {batch_size}, wanted at least 1"):
        decode_all(engine, tokenizer, sources, options=GREEDY, batch_size=batch_size)
