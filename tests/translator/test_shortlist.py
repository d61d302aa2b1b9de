"""The shortlist: what a sentence may be translated with, and what comes of it in the engine and in a search."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save
from torch import Tensor

from tests.translator.conftest import PYTORCH_TYPES, make_model
from tests.translator.full_beams import FullBeams
from translator.beam_search import BeamSearch
from translator.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, verify_checkpoint
from translator.compute_type import ComputeType
from translator.config import DecodingOptions
from translator.errors import CheckpointError
from translator.forced_decoding import score_all
from translator.inference import Translator
from translator.pytorch_engine import PyTorchEngine
from translator.scoring import Hypothesis
from translator.shortlist import LanguageShortlist, Shortlist

PAD, UNK, BOS, EOS, LANGUAGE, OTHER = 0, 1, 2, 3, 4, 5
VOCAB = 24
FORBIDDEN = (PAD, BOS, LANGUAGE, OTHER)
BESIDE = {8: [9, 10], 9: [9], 12: [20, 21, 22], 13: [EOS]}
MODEL = make_model(5, vocab_size=VOCAB)
with torch.no_grad():  # what is forbidden has no share in the probabilities of a list
    MODEL.output_bias[list(FORBIDDEN)] = -1000.0
SOURCES = [[LANGUAGE, 8, 12, EOS], [LANGUAGE, 13, EOS], [LANGUAGE, 8, 17, EOS], [LANGUAGE, 9, 8, 8, 12, 13, EOS]]


def make_shortlist(frequent: Sequence[int] = (UNK, EOS, 7), language: int = LANGUAGE) -> Shortlist:
    counts = [len(BESIDE.get(piece, [])) for piece in range(VOCAB)]
    beside = np.array([each for piece in sorted(BESIDE) for each in BESIDE[piece]])
    starts = np.concatenate([[0], np.cumsum(counts)])
    return Shortlist({language: LanguageShortlist(np.array(frequent), starts, beside)}, forbidden_ids=FORBIDDEN)


def pieces(source: Sequence[int]) -> list[int] | None:
    found = make_shortlist().pieces(source)
    return None if found is None else found.tolist()


def test_a_sentence_may_use_frequent_pieces_its_own_and_those_beside_them() -> None:
    assert pieces([LANGUAGE, 8, 12, 8, EOS]) == [UNK, EOS, 7, 8, 9, 10, 12, 20, 21, 22]
    assert pieces([LANGUAGE, EOS]) == [UNK, EOS, 7]


def test_one_unknown_piece_asks_for_the_whole_vocabulary_and_so_does_another_language() -> None:
    assert pieces([LANGUAGE, 8, 17, EOS]) is None
    assert pieces([OTHER, 8, EOS]) is None


def test_what_is_forbidden_is_never_listed() -> None:
    found = make_shortlist(frequent=[PAD, UNK, BOS, EOS, LANGUAGE]).pieces([LANGUAGE, 9, EOS])
    assert found is not None
    assert found.tolist() == [UNK, EOS, 9]


def test_what_was_written_is_read_again() -> None:
    read = Shortlist.from_bytes(make_shortlist().to_bytes(), vocab_size=VOCAB)
    assert read.forbidden_ids == FORBIDDEN
    for source in SOURCES:
        one, other = read.pieces(source), make_shortlist().pieces(source)
        assert (one is None and other is None) or np.array_equal(one, other)  # type: ignore[arg-type]


@pytest.mark.parametrize("vocab_size", [VOCAB - 1, VOCAB + 1])
def test_a_shortlist_of_another_vocabulary_is_refused(vocab_size: int) -> None:
    with pytest.raises(CheckpointError, match="of another vocabulary; copy the checkpoint again"):
        Shortlist.from_bytes(make_shortlist().to_bytes(), vocab_size=vocab_size)


NO_NUMBERS = save({"forbidden_ids": np.zeros(1, dtype=np.int64)})
NO_ROW = save({"forbidden_ids": np.zeros((1, 1), dtype=np.uint16)})
NO_END = make_shortlist(frequent=[UNK]).to_bytes()


@pytest.mark.parametrize(
    "content", [b"", b"no shortlist", make_shortlist().to_bytes()[:-3], NO_NUMBERS, NO_ROW, NO_END]
)
def test_what_is_no_shortlist_is_refused(content: bytes) -> None:
    with pytest.raises(CheckpointError, match="copy the checkpoint again"):
        Shortlist.from_bytes(content, vocab_size=VOCAB)


def test_a_checkpoint_keeps_its_shortlist_and_sees_that_it_is_whole(checkpoint: Checkpoint, tmp_path: Path) -> None:
    starts = np.arange(checkpoint.tokenizer.vocab_size + 1)
    listed = Shortlist({6: LanguageShortlist(np.array([EOS]), starts, starts[:-1])}, forbidden_ids=FORBIDDEN)
    save_checkpoint(tmp_path / "listed", replace(checkpoint, shortlist=listed), card="")
    loaded = load_checkpoint(tmp_path / "listed").shortlist
    assert loaded is not None
    assert loaded.to_bytes() == listed.to_bytes()
    file = tmp_path / "listed" / "shortlist.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    for reader in (load_checkpoint, verify_checkpoint):
        with pytest.raises(CheckpointError, match=r"shortlist\.safetensors is not the file the manifest describes"):
            reader(tmp_path / "listed")


def in_full(session: FullBeams, token_ids: Tensor, source: Sequence[int]) -> Tensor:
    """What the whole vocabulary says, made to speak of the pieces of one source alone."""
    log_probs = session.step_in_full(token_ids)[0]
    listed = make_shortlist().pieces(source)
    if listed is None:
        return log_probs
    outside = torch.ones(VOCAB, dtype=torch.bool)
    outside[torch.from_numpy(listed)] = False
    return log_probs.masked_fill(outside, -torch.inf).log_softmax(dim=1)


def spread(log_probs: Tensor, token_ids: Tensor) -> Tensor:
    """Lays columns out over the vocabulary; what no column stands for is impossible. [N, V]"""
    whole = torch.full((len(log_probs), VOCAB), -torch.inf)
    for row, (values, places) in enumerate(zip(log_probs, token_ids, strict=True)):
        real = values > -torch.inf
        whole[row, places[real]] = values[real]
    return whole


@pytest.mark.parametrize("compute_type", PYTORCH_TYPES)
def test_a_step_says_of_the_listed_pieces_what_the_whole_vocabulary_says_of_them(compute_type: ComputeType) -> None:
    tolerance = 1e-5 if compute_type == "float32" else 0.05
    engine = PyTorchEngine(MODEL, pad_id=PAD, compute_type=compute_type, shortlist=make_shortlist())
    session, full = FullBeams(engine), FullBeams(PyTorchEngine(MODEL, pad_id=PAD, compute_type=compute_type))
    session.admit(SOURCES, 2)
    full.admit(SOURCES, 2)
    for token in (BOS, 9, 20):
        token_ids = torch.full((2 * len(SOURCES),), token)
        said = session.step(token_ids)
        assert said.token_ids is not None
        found, everything = spread(said.log_probs, said.token_ids), full.step_in_full(token_ids)[0]
        for row in range(len(found)):
            source = SOURCES[row // 2]
            listed = make_shortlist().pieces(source)
            if listed is None:  # its best, as many as a search may ask for
                best = everything[row].topk(2 + 1).indices
                torch.testing.assert_close(found[row, best], everything[row, best], atol=1e-6, rtol=0)
                assert int((found[row] > -torch.inf).sum()) == len(best)
                continue
            expected = everything[row, torch.from_numpy(listed)].log_softmax(dim=0)
            torch.testing.assert_close(found[row, torch.from_numpy(listed)], expected, atol=tolerance, rtol=0)
            assert int((found[row] > -torch.inf).sum()) == len(listed)


def engine_with(shortlist: Shortlist | None) -> PyTorchEngine:
    return PyTorchEngine(MODEL, pad_id=PAD, shortlist=shortlist)


def searched(
    engine: PyTorchEngine, sources: Sequence[Sequence[int]], beam_size: int, options: DecodingOptions | None = None
) -> list[list[Hypothesis]]:
    options = options or DecodingOptions(beam_size=beam_size, n_best=beam_size)
    search = BeamSearch(engine.session(), bos_id=BOS, eos_id=EOS, options=options, forbidden_ids=FORBIDDEN)
    tickets = search.admit(sources)
    found = search.run()
    return [found[ticket] for ticket in tickets]


def test_a_list_of_everything_changes_no_search() -> None:
    everything = make_shortlist(frequent=range(VOCAB))
    permitted = [[LANGUAGE, 8, 12, EOS], [LANGUAGE, 13, EOS], [LANGUAGE, 17, EOS]]
    for one, other in zip(
        searched(engine_with(everything), permitted, 3), searched(engine_with(None), permitted, 3), strict=True
    ):
        assert [each.token_ids for each in one] == [each.token_ids for each in other]


@pytest.mark.parametrize("beam_size", [1, 3])
@pytest.mark.parametrize("size", [2, 3])
def test_who_chooses_from_everything_may_have_some_of_it_struck_out(beam_size: int, size: int) -> None:
    """A source without a list is searched as if nobody had one, also where the best tokens would be said again."""
    options = DecodingOptions(beam_size=beam_size, n_best=beam_size, no_repeat_ngram_size=size)
    whole = [source for source in SOURCES if make_shortlist().pieces(source) is None]
    assert whole
    for one, other in zip(
        searched(engine_with(make_shortlist()), whole, beam_size, options),
        searched(engine_with(None), whole, beam_size, options),
        strict=True,
    ):
        assert other
        assert [each.token_ids for each in one] == [each.token_ids for each in other]


def test_no_search_leaves_its_list() -> None:
    for source, hypotheses in zip(SOURCES, searched(engine_with(make_shortlist()), SOURCES, 3), strict=True):
        assert hypotheses
        if (listed := make_shortlist().pieces(source)) is not None:
            assert {token for each in hypotheses for token in each.token_ids} <= set(listed.tolist())


@pytest.mark.parametrize("compute_type", PYTORCH_TYPES)
@settings(max_examples=20)
@given(order=st.permutations(range(len(SOURCES))), beam_size=st.integers(1, 3))
def test_company_changes_nothing(compute_type: ComputeType, order: list[int], beam_size: int) -> None:
    engine = PyTorchEngine(MODEL, pad_id=PAD, compute_type=compute_type, shortlist=make_shortlist())
    together = searched(engine, [SOURCES[number] for number in order], beam_size)
    for number, found in zip(order, together, strict=True):
        [alone] = searched(engine, [SOURCES[number]], beam_size)
        assert [each.token_ids for each in found] == [each.token_ids for each in alone]
        np.testing.assert_allclose([each.log_prob for each in found], [each.log_prob for each in alone], atol=1e-4)


def test_sentences_that_join_and_leave_keep_their_lists() -> None:
    session = FullBeams(engine_with(make_shortlist()))
    session.admit(SOURCES[1:2], 1)
    session.step(torch.tensor([BOS]))
    session.admit([SOURCES[2], SOURCES[3]], 1)
    session.step(torch.tensor([7, BOS, BOS]))
    session.keep(torch.tensor([0, 2]))
    said = session.step(torch.tensor([9, 10]))
    assert said.token_ids is not None
    alone = FullBeams(PyTorchEngine(MODEL, pad_id=PAD))
    alone.admit(SOURCES[3:4], 1)
    alone.step(torch.tensor([BOS]))
    expected = in_full(alone, torch.tensor([10]), SOURCES[3])[0]
    torch.testing.assert_close(spread(said.log_probs, said.token_ids)[1], expected, atol=1e-5, rtol=0)


def test_who_leaves_takes_nothing_from_the_others_while_few_have() -> None:
    """Of eight sentences one leaves, which stays in memory; the others say what they say alone."""
    session = FullBeams(engine_with(make_shortlist()))
    many = [SOURCES[0], SOURCES[2], SOURCES[1], SOURCES[3]] * 2
    session.admit(many, 2)
    session.step(torch.full((16,), BOS))
    stay = [0, 1, 2, 4, 5, 6, 7]
    session.keep(torch.tensor(stay))
    said = session.step(torch.tensor([7, 9] * 7))
    assert said.token_ids is not None
    for place, source in enumerate(many[number] for number in stay):
        alone = FullBeams(engine_with(make_shortlist()))
        alone.admit([source], 2)
        alone.step(torch.full((2,), BOS))
        expected = alone.step(torch.tensor([7, 9]))
        assert expected.token_ids is not None
        here = slice(2 * place, 2 * place + 2)
        one = spread(said.log_probs[here], said.token_ids[here])
        torch.testing.assert_close(one, spread(expected.log_probs, expected.token_ids), atol=1e-5, rtol=0)
        looks = said.attention_weights[here, : len(source)]
        torch.testing.assert_close(looks, expected.attention_weights[:, : len(source)], atol=1e-5, rtol=0)


def test_who_joins_finds_those_that_left_gone() -> None:
    session = FullBeams(engine_with(make_shortlist()))
    session.admit([SOURCES[0]] * 8, 1)
    session.step(torch.full((8,), BOS))
    session.keep(torch.arange(7))
    session.admit([SOURCES[3]], 1)
    said = session.step(torch.tensor([9] * 7 + [BOS]))
    alone = FullBeams(engine_with(make_shortlist()))
    alone.admit([SOURCES[3]], 1)
    expected = alone.step(torch.tensor([BOS]))
    assert said.token_ids is not None
    assert expected.token_ids is not None
    torch.testing.assert_close(
        spread(said.log_probs[7:], said.token_ids[7:]),
        spread(expected.log_probs, expected.token_ids),
        atol=1e-5,
        rtol=0,
    )


def test_long_lists_leave_with_their_sentences() -> None:
    long = Shortlist(
        {
            LANGUAGE: make_shortlist().languages[LANGUAGE],
            OTHER: make_shortlist(frequent=range(VOCAB)).languages[LANGUAGE],
        },
        forbidden_ids=FORBIDDEN,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("translator.output.COLUMN_STEP", 1)
        session = FullBeams(engine_with(long))
        session.admit([[LANGUAGE, 13, EOS], [OTHER, 13, EOS]], 1)
        wide = session.step(torch.full((2,), BOS)).log_probs.shape[1]
        session.keep(torch.tensor([0]))
        narrow = session.step(torch.tensor([7])).log_probs.shape[1]
    assert (wide, narrow) == (VOCAB - len(FORBIDDEN), 4)


def test_a_given_translation_is_judged_by_the_whole_vocabulary() -> None:
    unlisted = [15, 16, EOS]
    [one], [other] = (
        score_all(engine_with(shortlist), [(SOURCES[0], unlisted)], alpha=1.0) for shortlist in (make_shortlist(), None)
    )
    assert one.token_log_probs == other.token_log_probs
    assert all(each > -100 for each in one.token_log_probs)


def test_a_translator_may_do_without_its_shortlist(checkpoint: Checkpoint, tmp_path: Path) -> None:
    starts = np.arange(checkpoint.tokenizer.vocab_size + 1)
    german = checkpoint.tokenizer.language_id("de")
    listed = Shortlist({german: LanguageShortlist(np.array([EOS]), starts, starts[:-1])}, forbidden_ids=FORBIDDEN)
    save_checkpoint(tmp_path / "listed", replace(checkpoint, shortlist=listed), card="")
    text = ["the small dog sleeps."]
    plain = Translator(checkpoint).translate(text, source="en", target="de")
    loaded = Translator.load(tmp_path / "listed", compute_type="float32", use_shortlist=False)
    assert loaded.translate(text, source="en", target="de") == plain
    with_it = Translator.load(tmp_path / "listed", compute_type="float32").translate(text, source="en", target="de")
    assert with_it != plain
