"""Another vocabulary: shared pieces keep their weights, new ones are the mean of what spelt them."""

import pytest
import torch

from tests.training.small_run import SOURCES, TARGETS, small_tokenizer
from training.tokenizer import learn_tokenizer
from training.vocabulary_transfer import transfer_vocabulary
from translator.checkpoint import Checkpoint, Manifest
from translator.config import ModelConfig
from translator.model import TranslationModel
from translator.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def old() -> Checkpoint:
    tokenizer = small_tokenizer()
    sizes = ModelConfig(vocab_size=tokenizer.vocab_size, embedding_size=4, encoder_size=6, decoder_size=5)
    manifest = Manifest(name="old", model=sizes, languages=("de", "en"), directions=(("en", "de"),))
    torch.manual_seed(3)
    model = TranslationModel.from_config(sizes).requires_grad_(False)
    torch.nn.init.normal_(model.output_bias)
    return Checkpoint.of(manifest, model, tokenizer)


def test_the_same_vocabulary_changes_nothing(old: Checkpoint) -> None:
    found = transfer_vocabulary(old.model.state_dict(), old.tokenizer, old.tokenizer)
    assert found.keys() == old.model.state_dict().keys()
    assert all(torch.equal(found[name], weight) for name, weight in old.model.state_dict().items())


def test_each_piece_begins_as_what_spelt_it(old: Checkpoint) -> None:
    lines = [*SOURCES, *TARGETS, "the zebra eats", "zebra zebra"]
    new = Tokenizer.from_bytes(learn_tokenizer(lines, vocab_size=32, languages=["en", "fr"], threads=1))
    found = transfer_vocabulary(old.model.state_dict(), old.tokenizer, new)
    table, bias = old.model.embedding.weight, old.model.output_bias
    kept = [piece for piece in new.pieces if piece in old.tokenizer.pieces]
    assert len(kept) > 10
    for piece in kept:
        there, here = old.tokenizer.pieces.index(piece), new.pieces.index(piece)
        assert torch.equal(found["embedding.weight"][here], table[there])
        assert found["output_bias"][here] == bias[there]
    french, zebra = found["embedding.weight"][new.language_id("fr")], new.pieces.index("z")
    german, english = (table[old.tokenizer.language_id(language)] for language in ("de", "en"))
    torch.testing.assert_close(french, (german + english) / 2)
    spelt = old.tokenizer.encode("z")  # a letter it never saw: the mark of a word's beginning, then unk
    assert old.tokenizer.unk_id in spelt
    torch.testing.assert_close(found["embedding.weight"][zebra], table[spelt].mean(dim=0))


def test_a_model_can_hold_the_weights(old: Checkpoint) -> None:
    new = Tokenizer.from_bytes(learn_tokenizer([*SOURCES, *TARGETS], vocab_size=28, languages=["fr"], threads=1))
    sizes = ModelConfig(vocab_size=new.vocab_size, embedding_size=4, encoder_size=6, decoder_size=5)
    weights = transfer_vocabulary(old.model.state_dict(), old.tokenizer, new)
    TranslationModel.from_config(sizes).load_state_dict(weights)
