"""A shortlist that is learned: what a model looked at, what is frequent, what was too rare to know."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.small_run import make_trainer, small_tokenizer, write_run
from training.dataset import Dataset, DirectedCorpus
from training.shortlist import add_shortlist, judge_shortlist, learn_shortlist
from translator.batch import PaddedIds
from translator.checkpoint import load_checkpoint
from translator.decoder import DecoderOutput
from translator.errors import ConfigError, CorpusError
from translator.model import TranslationModel
from translator.tokenizer import Tokenizer

TOKENIZER = small_tokenizer()
LANGUAGE = TOKENIZER.language_id("de")
FIRST = 8  # the first of the pieces used here; what it is called does not matter


class Looking(TranslationModel):
    """Looks from target piece t at source piece t, a third at the one behind it."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.output_bias = torch.nn.Parameter(torch.zeros(TOKENIZER.vocab_size))

    def forward(self, source: PaddedIds, target_input: PaddedIds) -> DecoderOutput:
        batch, steps, length = len(source.ids), target_input.ids.shape[1], source.ids.shape[1]
        weights = torch.zeros(batch, steps, length)
        for step in range(steps):
            weights[:, step, min(step + 1, length - 1)] += 2 / 3
            weights[:, step, min(step + 2, length - 1)] += 1 / 3
        return DecoderOutput(torch.zeros(0), weights, None)  # type: ignore[arg-type]  # nobody asks for the state


def pairs_of(count: int) -> Dataset:
    """Piece n of the source, n = FIRST, FIRST + 1, becomes n + 10; a third piece comes once."""
    sources = [np.array([FIRST, FIRST + 1], dtype=np.int32)] * count + [np.array([FIRST + 2], dtype=np.int32)]
    return Dataset([DirectedCorpus(LANGUAGE, sources, [each + 10 for each in sources])])


def test_pieces_lie_beside_those_they_were_looked_at_for() -> None:
    found, report = learn_shortlist(Looking(), TOKENIZER, pairs_of(400), frequent=0)
    own, always = [FIRST, FIRST + 1], [Tokenizer.unk_id, Tokenizer.eos_id]
    [language] = found.languages.values()
    assert language.frequent.tolist() == always
    # The second is also looked at, a third, while the translation of the first is written.
    beside = {piece: language.beside[language.starts[piece] : language.starts[piece + 1]].tolist() for piece in own}
    assert beside == {FIRST: [FIRST + 10], FIRST + 1: [FIRST + 10, FIRST + 11]}
    pieces = found.pieces([LANGUAGE, *own, Tokenizer.eos_id])
    assert pieces is not None
    assert pieces.tolist() == [*always, *own, FIRST + 10, FIRST + 11]
    assert (report.covered, report.pieces, report.whole) == (1.0, 6.0, 0.0)


def test_the_pieces_met_most_often_are_for_every_sentence() -> None:
    often = pairs_of(400)
    often.corpora[0].targets.extend([np.array([FIRST + 20], dtype=np.int32)] * 500)
    often.corpora[0].sources.extend([np.array([FIRST + 3], dtype=np.int32)] * 500)
    found, _ = learn_shortlist(Looking(), TOKENIZER, Dataset(often.corpora), frequent=2)
    assert found.frequent(LANGUAGE).tolist() == [Tokenizer.unk_id, Tokenizer.eos_id, FIRST + 20]


def test_a_piece_that_came_once_is_unknown() -> None:
    found, _ = learn_shortlist(Looking(), TOKENIZER, pairs_of(400))
    assert found.pieces([LANGUAGE, FIRST + 2, Tokenizer.eos_id]) is None
    assert found.pieces([LANGUAGE, FIRST, FIRST + 2, Tokenizer.eos_id]) is None


def test_what_is_not_listed_is_counted_as_missed() -> None:
    found, _ = learn_shortlist(Looking(), TOKENIZER, pairs_of(400))
    strange = Dataset(
        [DirectedCorpus(LANGUAGE, [np.array([FIRST], dtype=np.int32)] * 2, [np.array([FIRST + 5], dtype=np.int32)] * 2)]
    )
    report = judge_shortlist(found, strange, np.array([0, 1]))
    assert report.covered == 0.5  # eos
    assert report.whole == 0.0


def test_a_corpus_of_nothing_is_refused() -> None:
    with pytest.raises(CorpusError, match="too few pairs to learn a shortlist from"):
        learn_shortlist(Looking(), TOKENIZER, Dataset([DirectedCorpus(LANGUAGE, [], [])]))


def test_a_checkpoint_is_given_one_and_is_the_same_otherwise(tmp_path: Path) -> None:
    make_trainer(tmp_path, validation={"every_steps": 6}).run()
    trained = tmp_path / "small" / "last"
    report = add_shortlist(trained, tmp_path / "out", write_run(tmp_path))
    before, after = load_checkpoint(trained), load_checkpoint(tmp_path / "out")
    assert after.manifest.calibrations == ()
    assert before.shortlist is None
    assert after.shortlist is not None
    assert list(after.shortlist.languages) == [LANGUAGE]
    assert after.manifest.weights_sha256 == before.manifest.weights_sha256
    assert 0 <= report.covered <= 1


def test_text_that_the_model_was_not_taught_is_refused(tmp_path: Path) -> None:
    make_trainer(tmp_path, validation={"every_steps": 6}).run()
    config = write_run(tmp_path, name="other", corpus={"both_directions": True})
    with pytest.raises(ConfigError, match=r"other\.toml has text from de to en, which small model was not taught"):
        add_shortlist(tmp_path / "small" / "last", tmp_path / "out", config)
