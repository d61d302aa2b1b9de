"""The model card says what the manifest knows, and nothing it does not know."""

from dataclasses import replace

import pytest

from training.model_card import model_card
from translator.checkpoint import Manifest, Score
from translator.config import ModelConfig

CORPUS = {
    "files": ["train.en", "train.de"],
    "source": "en",
    "target": "de",
    "both_directions": True,
    "cleaning": "9 of 10 pairs kept; dropped: empty 1",
}
SCORES = (
    Score(test_set="dev", source="en", target="de", metric="BLEU", value=31.456, signature="nrefs:1|v:2.5"),
    Score(test_set="dev", source="de", target="en", metric="chrF", value=60.0, signature="nrefs:1|nc:6"),
)
MANIFEST = Manifest(
    name="everyday",
    model=ModelConfig(vocab_size=8000, encoder_size=320, decoder_size=512, attention_heads=2),
    languages=("de", "en"),
    directions=(("en", "de"), ("de", "en")),
    stored_type="int8",
    training={"corpora": [CORPUS]},
    scores=SCORES,
    licence="CC BY-SA 4.0",
    credits=("Tatoeba", "Anna"),
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("# everyday\n", id="name"),
        pytest.param("en to de, de to en", id="directions"),
        pytest.param("Licence of these weights: CC BY-SA 4.0.", id="licence"),
        pytest.param("2 x 320 units", id="encoder"),
        pytest.param("2 attention head(s)", id="heads"),
        pytest.param("8000 SentencePiece pieces", id="vocabulary"),
        pytest.param("stored as int8", id="stored type"),
        pytest.param(
            "- train.en and train.de (en to de, both directions): 9 of 10 pairs kept; dropped: empty 1.\n", id="corpus"
        ),
        pytest.param("| dev | en to de | BLEU | 31.46 | `nrefs:1\\|v:2.5` |\n", id="a score and its signature"),
        pytest.param("| dev | de to en | chrF | 60.00 | `nrefs:1\\|nc:6` |\n", id="another"),
        pytest.param("- Tatoeba\n- Anna\n", id="credits"),
    ],
)
def test_the_card_says(text: str) -> None:
    assert text in model_card(MANIFEST)


def test_the_credits_of_the_first_weights_stay_however_many_runs_ago() -> None:
    first = {"name": "old", "weights_sha256": "0" * 64, "licence": "CC BY 4.0", "credits": ["Tatoeba", "Tolstoy"]}
    second = first | {"name": "older", "credits": ["Homer"], "training": {}}
    card = model_card(replace(MANIFEST, training={"started_from": first | {"training": {"started_from": second}}}))
    assert "the weights of old (000000000000), whose licence is CC BY 4.0.\n" in card
    assert card.count("Tatoeba") == 1
    assert "## Credits\n\n- Tatoeba\n- Anna\n- Tolstoy\n- Homer\n" in card


def test_the_card_has_no_heading_without_a_text() -> None:
    bare = replace(MANIFEST, training={}, scores=(), credits=())
    headings = [line for line in model_card(bare).splitlines() if line.startswith("#")]
    assert headings == ["# everyday", "## What it is", "## Limits"]
    assert not model_card(bare).endswith("\n\n")
