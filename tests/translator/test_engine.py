"""The engine: one token at a time, it says what the training graph and the plain model say."""

import gc
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.translator import numpy_model
from tests.translator.conftest import PYTORCH_TYPES, engine_of, make_model, needs_kernels, needs_vnni
from tests.translator.full_beams import FullBeams
from translator.batch import pad
from translator.checkpoint import Checkpoint
from translator.compute_type import ComputeType
from translator.decoding_session import room_for
from translator.engine import make_engine
from translator.lstm_cell import lstm_cell, parameters_of
from translator.products import Product, make_product
from translator.pytorch_engine import PyTorchEngine

PAD, BOS, EOS = 0, 2, 3
MODEL = make_model(13)
ENGINE = PyTorchEngine(MODEL, pad_id=PAD)
SOURCES = [[9, 5, 21, 7, EOS], [8, EOS], [4, 4, 17, EOS]]
ids = st.integers(4, 23)
sources = st.lists(st.lists(ids, min_size=1, max_size=7), min_size=1, max_size=4)


def follow(session: FullBeams, targets: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Steps all rows along targets of one length: log-probabilities [N, T, V] and attention [N, T, S]."""
    steps = [session.step_in_full(column) for column in torch.tensor(targets).t()]
    return torch.stack([step.log_probs for step in steps], 1), torch.stack(
        [step.attention_weights for step in steps], 1
    )


def teacher_forced(source: Sequence[int], target: Sequence[int]) -> tuple[Tensor, Tensor]:
    """What the training graph says after each token: [T, V] and [T, S]."""
    output = MODEL(pad([source], PAD), pad([target], PAD))
    return MODEL.logits(output.readout).log_softmax(dim=-1)[0], output.attention_weights[0]


@settings(max_examples=30)
@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 6), st.integers(0, 10**6))
def test_a_step_of_a_layer_is_the_cell_of_the_equations(inputs: int, hidden: int, rows: int, seed: int) -> None:
    torch.manual_seed(seed)
    layer = torch.nn.LSTM(inputs, hidden).requires_grad_(False)
    x, state, cell = torch.randn(rows, inputs), torch.randn(rows, hidden), torch.randn(rows, hidden)
    weights = parameters_of(layer)
    found = lstm_cell(x @ weights.inputs.t() + state @ weights.recurrent.t() + weights.bias, cell)
    plain = numpy_model.Cell(layer)
    for row in range(rows):
        expected = plain.step(*(numpy_model.array(part[row]) for part in (x, state, cell)))
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one[row].numpy(), other, atol=1e-5)


@settings(max_examples=20)
@given(sources, st.integers(1, 3), st.data())
def test_steps_equal_the_teacher_forced_pass(sources: list[list[int]], beam_size: int, data: st.DataObject) -> None:
    rows = len(sources) * beam_size
    length = data.draw(st.integers(1, 6), label="length")
    row = st.lists(ids, min_size=length, max_size=length)
    targets = data.draw(st.lists(row, min_size=rows, max_size=rows), label="targets")
    session = FullBeams(ENGINE)
    session.admit(sources, beam_size)
    log_probs, attention = follow(session, targets)
    for n, target in enumerate(targets):
        source = sources[n // beam_size]
        expected, expected_attention = teacher_forced(source, target)
        torch.testing.assert_close(log_probs[n], expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(attention[n, :, : len(source)], expected_attention, atol=1e-5, rtol=0)
        assert (attention[n, :, len(source) :] == 0).all()


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("lexical_shortcut", [False, True])
def test_steps_equal_the_plain_model(layers: int, lexical_shortcut: bool) -> None:
    model = make_model(3, decoder_layers=layers, attention_heads=layers, lexical_shortcut=lexical_shortcut)
    target = [BOS, 4, 19, 19, 8, 6]
    session = FullBeams(PyTorchEngine(model, pad_id=PAD))
    session.admit([SOURCES[0]], 1)
    for found, expected in zip(follow(session, [target]), numpy_model.decode(model, SOURCES[0], target), strict=True):
        np.testing.assert_allclose(found[0, :, : expected.shape[1]].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("compute_type", PYTORCH_TYPES[1:])
def test_rounded_steps_stay_near_the_plain_model(compute_type: ComputeType, tolerance: float = 0.15) -> None:
    """A weight of this model is about 0.4 and a product sums about twenty: an error of a percent each, at most."""
    model = make_model(3, lexical_shortcut=True)
    target = [BOS, 4, 19, 19, 8, 6]
    session = FullBeams(PyTorchEngine(model, pad_id=PAD, compute_type=compute_type))
    session.admit([SOURCES[0]], 1)
    log_probs, attention = follow(session, [target])
    expected, expected_attention = numpy_model.decode(model, SOURCES[0], target)
    np.testing.assert_allclose(log_probs[0].numpy(), expected, atol=tolerance)
    np.testing.assert_allclose(attention[0, :, : len(SOURCES[0])].numpy(), expected_attention, atol=tolerance / 5)


@needs_vnni
def test_an_int8_step_is_the_same_to_the_bit_alone_and_in_company() -> None:
    engine = PyTorchEngine(make_model(3), pad_id=PAD, compute_type="int8")
    alone, company = FullBeams(engine), FullBeams(engine)
    alone.admit(SOURCES[1:2], 2)
    company.admit(SOURCES, 2)
    for token in (BOS, 7, 9):
        one = alone.step(torch.tensor([token, token + 1]))
        other = company.step(torch.tensor([5, 6, token, token + 1, 8, 9]))
        assert torch.equal(one.log_probs, other.log_probs[2:4])
        assert (one.token_ids is None) == (other.token_ids is None)
        if one.token_ids is not None and other.token_ids is not None:
            assert torch.equal(one.token_ids, other.token_ids[2:4])


@pytest.mark.parametrize("lexical_shortcut", [False, True])
@needs_kernels
@needs_vnni
def test_with_and_without_kernels_a_translation_is_scored_the_same_but_for_rounding(lexical_shortcut: bool) -> None:
    model = make_model(3, lexical_shortcut=lexical_shortcut)
    plain = PyTorchEngine(model, pad_id=PAD, compute_type="int8")
    targets = [[4, 19, 19, 8, 6, EOS], [7, EOS], [5, 20, EOS]]
    pairs = zip(*(engine.force(SOURCES, targets, alpha=0) for engine in (engine_of(model, "int8"), plain)), strict=True)
    for one, other in pairs:  # the encoder is in int8 with kernels, in bfloat16 without
        np.testing.assert_allclose(one.token_log_probs, other.token_log_probs, atol=0.1)
        np.testing.assert_allclose(one.attention_weights, other.attention_weights, atol=0.02)


@settings(max_examples=20)
@given(st.integers(1, 3), st.integers(1, 3), st.sampled_from([1.0, 5.0, 50.0]), st.integers(0, 10**6), sources)
def test_no_row_is_larger_than_its_product_was_told(
    decoder_layers: int, encoder_layers: int, weight: float, seed: int, sources: list[list[int]]
) -> None:
    """With weights of 50 every gate is open or shut, and the outputs of the layers are as large as they can be."""

    def checked(weight: Tensor, bias: Tensor | None, *, bound: float, compute_type: ComputeType) -> Product:
        product = make_product(weight, bias, bound=bound, compute_type=compute_type)

        def check(*parts: Tensor) -> Tensor:
            assert max(part.abs().max() for part in parts) <= bound
            return product(*parts)

        return check

    layers = {"decoder_layers": decoder_layers, "encoder_layers": encoder_layers}
    model = make_model(seed, weight=weight, **layers, lexical_shortcut=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("translator.packed_model.make_product", checked)
        patch.setattr("translator.output.make_product", checked)
        session = FullBeams(PyTorchEngine(model, pad_id=PAD))
    session.admit(sources, 2)
    follow(session, [[BOS, *range(4, 14)]] * (2 * len(sources)))


def test_sentences_that_join_and_leave_change_nothing_for_the_others() -> None:
    session = FullBeams(ENGINE)
    short, long, joined = SOURCES[1], [*range(4, 13), EOS], SOURCES[2]
    session.admit([short], 2)
    said = [session.step(torch.tensor([BOS, 5]))]
    session.admit([long, joined], 2)
    said.append(session.step(torch.tensor([6, 7, BOS, 8, BOS, 9])))
    session.keep(torch.tensor([0, 2]))  # the long one leaves
    said.append(session.step(torch.tensor([10, 11, 12, 13])))
    assert [step.attention_weights.shape[1] for step in said] == [8, 16, 8]  # the longest live source, in eights
    histories = [
        [(short, [BOS]), (short, [5])],
        [(short, [BOS, 6]), (short, [5, 7]), (long, [BOS]), (long, [8]), (joined, [BOS]), (joined, [9])],
        [(short, [BOS, 6, 10]), (short, [5, 7, 11]), (joined, [BOS, 12]), (joined, [9, 13])],
    ]
    for (log_probs, attention, *_), rows in zip(said, histories, strict=True):
        for n, (source, target) in enumerate(rows):
            expected, expected_attention = teacher_forced(source, target)
            torch.testing.assert_close(log_probs[n], expected[-1], atol=1e-5, rtol=0)
            torch.testing.assert_close(attention[n, : len(source)], expected_attention[-1], atol=1e-5, rtol=0)
            assert (attention[n, len(source) :] == 0).all()


def test_reordered_rows_continue_from_where_they_were_sent() -> None:
    session = FullBeams(ENGINE)
    session.admit(SOURCES[:2], 3)
    session.step(torch.tensor([4, 5, 6, 7, 8, 9]))
    session.reorder(torch.tensor([2, 2, 0, 4, 3, 4]))
    log_probs = session.step(torch.tensor([10, 11, 12, 13, 14, 15])).log_probs
    histories = [[6, 10], [6, 11], [4, 12], [8, 13], [7, 14], [8, 15]]
    for n, target in enumerate(histories):
        expected, _ = teacher_forced(SOURCES[n // 3], target)
        torch.testing.assert_close(log_probs[n], expected[-1], atol=1e-5, rtol=0)


@settings(max_examples=20)
@given(sources, st.data())
def test_beams_that_grow_and_shrink_equal_the_teacher_forced_pass(
    sources: list[list[int]], data: st.DataObject
) -> None:
    """Each sentence goes on with any number of rows, and sentences leave while others stay."""
    beam_size = data.draw(st.integers(1, 6), label="beam size")
    session = ENGINE.session()
    session.admit(sources, beam_size)
    rows: list[tuple[int, list[int]]] = [(sentence, []) for sentence in range(len(sources))]  # source, tokens so far
    for _ in range(4):
        order = list(dict.fromkeys(sentence for sentence, _ in rows))
        places = [
            order.index(sentence) * beam_size + sum(other == sentence for other, _ in rows[:n])
            for n, (sentence, _) in enumerate(rows)
        ]
        tokens = data.draw(st.lists(ids, min_size=len(rows), max_size=len(rows)), label="tokens")
        rows = [(sentence, [*before, token]) for (sentence, before), token in zip(rows, tokens, strict=True)]
        log_probs, attention, *_ = session.step(torch.tensor(tokens), torch.tensor(places))
        assert len(log_probs) == len(attention) == len(rows)
        for row, (sentence, target) in enumerate(rows):
            expected, expected_attention = teacher_forced(sources[sentence], target)
            torch.testing.assert_close(log_probs[row], expected[-1], atol=1e-5, rtol=0)
            length = len(sources[sentence])
            torch.testing.assert_close(attention[row, :length], expected_attention[-1], atol=1e-5, rtol=0)
        stay = sorted(data.draw(st.sets(st.sampled_from(order), min_size=1), label="who stays"))
        if len(stay) < len(order):
            session.keep(torch.tensor([order.index(sentence) for sentence in stay]))
        chosen = []
        for sentence in stay:
            own = [n for n, (owner, _) in enumerate(rows) if owner == sentence]
            chosen += data.draw(st.lists(st.sampled_from(own), min_size=1, max_size=beam_size), label="rows")
        session.reorder(torch.tensor(chosen))
        rows = [rows[n] for n in chosen]


@given(st.integers(1, 5000))
def test_there_is_room_for_all_rows_in_few_sizes(rows: int) -> None:
    assert rows <= room_for(rows) < rows + 16
    assert rows == room_for(rows) or rows > 16
    assert len({room_for(n) for n in range(1, 321)}) <= 40


def test_log_probabilities_are_normalised() -> None:
    session = FullBeams(ENGINE)
    session.admit(SOURCES, 2)
    log_probs, attention, *_ = session.step(torch.full((6,), BOS))
    assert (log_probs.dtype, attention.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(log_probs.exp().sum(dim=-1), torch.ones(6))
    torch.testing.assert_close(attention.sum(dim=-1), torch.ones(6))


def test_a_step_without_a_sentence_is_refused() -> None:
    session = FullBeams(ENGINE)
    with pytest.raises(RuntimeError, match="Nothing was admitted; admit at least one source first"):
        session.step(torch.tensor([BOS]))


def test_an_empty_session_can_be_reordered_emptied_and_filled_again() -> None:
    session = FullBeams(ENGINE)
    session.reorder(torch.tensor([], dtype=torch.int64))
    session.keep(torch.tensor([], dtype=torch.int64))
    session.admit(SOURCES[:1], 1)
    session.keep(torch.tensor([], dtype=torch.int64))
    with pytest.raises(RuntimeError, match="admit at least one source"):
        session.step(torch.tensor([BOS]))
    session.admit(SOURCES[1:2], 1)
    expected, _ = teacher_forced(SOURCES[1], [BOS])
    torch.testing.assert_close(session.step(torch.tensor([BOS])).log_probs, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("compute_type", PYTORCH_TYPES)
def test_what_is_packed_is_not_kept_twice(compute_type: ComputeType) -> None:
    model = make_model(1)
    packed = [weakref.ref(layer.weight_hh_l0) for layer in model.decoder.layers] + [weakref.ref(model.decoder.readout)]
    engine = PyTorchEngine(model, pad_id=PAD, compute_type=compute_type)
    del model
    gc.collect()
    assert [reference() for reference in packed] == [None] * len(packed)
    engine.session().admit(SOURCES, 1)


def test_an_engine_evaluates_and_teaches_nothing() -> None:
    model = make_model(1, dropout=0.5).train()
    engine = PyTorchEngine(model, pad_id=PAD)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    session = FullBeams(engine)
    session.admit(SOURCES, 1)
    assert not any(tensor.requires_grad for tensor in session.step(torch.full((3,), BOS))[:2])


def test_any_number_of_threads_share_an_engine_that_no_search_writes_to() -> None:
    before = [tensor.clone() for tensor in (ENGINE.first_gates, *MODEL.parameters())]
    targets = [[BOS, n, n + 1, n + 2] for n in range(4, 16)]

    def search(target: list[int]) -> Tensor:
        session = FullBeams(ENGINE)
        session.admit(SOURCES[:1], 1)
        return follow(session, [target])[0]

    alone = [search(target) for target in targets]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(search, targets))
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))
    after = [ENGINE.first_gates, *MODEL.parameters()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("compute_type", "device", "use_kernels", "kind"),
    [
        pytest.param("int8", "cpu", True, "KernelEngine", marks=needs_kernels),
        pytest.param("int8", "cpu", False, "PyTorchEngine", marks=needs_vnni),
        ("bfloat16", "cpu", True, "PyTorchEngine"),
        ("float32", "cpu", True, "PyTorchEngine"),
        ("float32", "cpu:0", True, "PyTorchEngine"),
    ],
)
def test_int8_is_the_kernels_affair_where_they_are(
    checkpoint: Checkpoint, compute_type: ComputeType, device: str, use_kernels: bool, kind: str
) -> None:
    engine = make_engine(checkpoint, compute_type=compute_type, device=device, use_kernels=use_kernels)
    assert type(engine).__name__ == kind
    assert engine.compute_type == compute_type
