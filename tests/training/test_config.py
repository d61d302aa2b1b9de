"""Experiments from TOML: all arrives as it was meant, and what cannot be meant is refused by name."""

import re
from pathlib import Path

import pytest

from training.augmentation import AugmentationConfig
from training.cleaning import CleaningConfig
from training.config import ExperimentConfig, TrainingConfig, load_config
from translator.config import DecodingOptions
from translator.errors import ConfigError

ROOT = Path(__file__).parents[2]
MINIMAL = """\
name = "m"
output = "runs/m"

[[corpora]]
source = "en"
target = "de"
source_file = "a.en"
target_file = "a.de"

[training]
max_steps = 10

[validation]
every_steps = 5
sets = [{ source = "en", target = "de", source_file = "v.en", target_file = "v.de" }]
"""
SECOND_CORPUS = """
[[corpora]]
source = "fr"
target = "en"
source_file = "b.fr"
target_file = "b.en"
both_directions = true
"""


def load(folder: Path, text: str) -> ExperimentConfig:
    path = folder / "experiment.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def test_what_is_not_said_has_its_default(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL)
    assert config.training == TrainingConfig(max_steps=10)
    assert (config.cleaning, config.augmentation) == (CleaningConfig(), AugmentationConfig())
    assert (config.model, config.tokenizer, config.start_from) == (None, None, None)
    assert config.decoding == DecodingOptions()
    assert config.validation.decoding.beam_size == 1


def test_paths_count_from_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    config = load(tmp_path, MINIMAL.replace('"a.en"', '"/data/a.en"').replace('"a.de"', '"~/a.de"'))
    assert config.output == tmp_path / "runs/m"
    assert config.corpora[0].source_file == Path("/data/a.en")
    assert config.corpora[0].target_file == Path("/home/anna/a.de")
    assert config.validation.sets[0].source_file == tmp_path / "v.en"


def test_a_whole_number_will_do_for_a_number(tmp_path: Path) -> None:
    rate = load(tmp_path, MINIMAL.replace("max_steps = 10", "max_steps = 10\nlearning_rate = 1")).training.learning_rate
    assert (rate, type(rate)) == (1.0, float)


def test_languages_and_directions_come_from_the_corpora(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL + SECOND_CORPUS)
    assert config.directions == (("en", "de"), ("fr", "en"), ("en", "fr"))
    assert config.languages == ("de", "en", "fr")


def test_a_direction_of_the_first_epochs_alone_is_not_offered(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL + SECOND_CORPUS + "epochs = 3\n")
    assert config.directions == (("en", "de"),)
    assert config.languages == ("de", "en", "fr")
    with pytest.raises(ConfigError, match="Every corpus ends after some epochs; leave epochs out of at least one"):
        load(tmp_path, MINIMAL.replace("target_file", "epochs = 3\ntarget_file", 1))


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda path: path.name)
def test_the_committed_experiments_are_valid(path: Path) -> None:
    assert load_config(path).name == re.sub("-(onwards|untidy|steady|calls|first-words|greetings|made)$", "", path.stem)


@pytest.mark.parametrize(
    ("old", "new", "key", "near"),
    [
        pytest.param("output =", "outptu =", "outptu", "output", id="of the experiment"),
        pytest.param("[training]", "[training]\nwarmup = 1", "training.warmup", "training.warmup_steps", id="nested"),
        pytest.param(
            "target_file", "both_direction = true\ntarget_file", "corpora[0].both_direction",
            "corpora[0].both_directions", id="of a table in an array",
        ),
        pytest.param("[training]", "[training]\nweight = 1", "training.weight", "corpora.weight", id="elsewhere"),
        pytest.param("{ source", "{ sorce", "validation.sets[0].sorce", "validation.sets[0].source", id="inline"),
    ],
)  # fmt: skip
def test_an_unknown_key_is_refused_with_the_nearest_known_one(
    tmp_path: Path, old: str, new: str, key: str, near: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"Unknown key '{key}'; did you mean '{near}'? Known: ")):
        load(tmp_path, MINIMAL.replace(old, new, 1))


@pytest.mark.parametrize(
    ("line", "key"),
    [
        pytest.param('name = "m"\n', "name", id="of the experiment"),
        pytest.param("every_steps = 5\n", "validation.every_steps", id="of a table"),
        pytest.param('source_file = "a.en"\n', "corpora[0].source_file", id="of a table in an array"),
        pytest.param("[training]\nmax_steps = 10\n", "training", id="a whole table"),
    ],
)
def test_a_missing_key_is_named(tmp_path: Path, line: str, key: str) -> None:
    assert line in MINIMAL
    with pytest.raises(ConfigError, match=re.escape(f"The key '{key}' is missing; add it")):
        load(tmp_path, MINIMAL.replace(line, ""))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("max_steps = 10", 'max_steps = "10"', "training.max_steps is '10', wanted a whole number."),
        ("max_steps = 10", "max_steps = 10.0", "training.max_steps is 10.0, wanted a whole number."),
        ("max_steps = 10", "max_steps = true", "training.max_steps is True, wanted a whole number."),
        ("[training]", '[training]\nlearning_rate = "fast"', "training.learning_rate is 'fast', wanted a number."),
        ("[training]", "[training]\nlearning_rate = true", "training.learning_rate is True, wanted a number."),
        ("[training]", "[cleaning]\ndrop_duplicates = 1\n[training]", "is 1, wanted true or false."),
        ('name = "m"', "name = 3", "name is 3, wanted text in quotes."),
        ('"a.en"', "3", "corpora[0].source_file is 3, wanted a path in quotes."),
        ('name = "m"', 'name = "m"\nmodel = "big"', "model is 'big', wanted a table."),
        ("sets = [", "sets = [3, ", "validation.sets[0] is 3, wanted a table."),
        ("[[corpora]]", "[corpora]", "wanted an array."),
        ('name = "m"', 'name = "m"\ncredits = ["Anna", 3]', "credits[1] is 3, wanted text in quotes."),
        ("[training]", '[training]\ndecay = "steps"', "wanted 'cosine' or 'linear' or 'inverse_sqrt' or 'none'."),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in MINIMAL
    with pytest.raises(ConfigError, match=re.escape(message)):
        load(tmp_path, MINIMAL.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("max_steps = 10", "max_steps = 0", "max_steps is 0, wanted at least 1."),
        ("[training]", "[training]\naccumulate = 0", "accumulate is 0, wanted at least 1."),
        ("[training]", "[training]\nbatch_tokens = -1", "batch_tokens is -1, wanted at least 1."),
        ("[training]", "[training]\nlearning_rate = nan", "learning_rate is nan, wanted at least 0"),
        ("[training]", "[training]\nbeta2 = 1.0", "beta2 is 1.0, wanted at least 0 and below 1."),
        ("[training]", "[training]\ntoken_dropout = -0.1", "token_dropout is -0.1, wanted at least 0 and below 1."),
        ("[training]", "[cleaning]\nmax_tokens = -1\n[training]", "max_tokens is -1, wanted at least 0."),
        ("[training]", "[decoding]\nbeam_size = 0\n[training]", "beam_size is 0, wanted "),
        ("target_file", "weight = 0.0\ntarget_file", "weight is 0.0, wanted more than 0 and at most 1000"),
        ("target_file", "epochs = -1\ntarget_file", "epochs is -1, wanted at least 0."),
        ("target_file", "weight_back = -1.0\ntarget_file", "weight_back is -1.0, wanted at least 0"),
        ("target_file", "weight_back = 0.5\ntarget_file", "weight_back is 0.5, and both_directions is false"),
        ("[training]", "[training]\nalignment_weight = -1.0", "alignment_weight is -1.0, wanted at least 0"),
        ("[training]", "[training]\nalignment_weight = 0.1", "alignment_weight is set, and no corpus has a links_file"),
        ("[training]", "[augmentation]\nemphasised = 0.1\n[training]", "a.en comes without links_file"),
        ("[training]", "[augmentation]\nexcerpted = 0.1\n[training]", "a.en comes without links_file"),
        (
            "[training]",
            SECOND_CORPUS.replace('"fr"', '"it"') + "[augmentation]\ncompounded = 0.1\n[training]",
            "augmentation.compounded knows conjunctions of de, en, es, fr, not of it",
        ),
        ("every_steps = 5", "every_steps = 0", "every_steps is 0, wanted at least 1."),
        ("every_steps = 5", "every_steps = 5\npatience = -1", "patience is -1, wanted at least 0."),
    ],
)
def test_a_number_that_no_run_can_honour_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load(tmp_path, MINIMAL.replace(old, new, 1))


def test_an_experiment_without_text_is_refused(tmp_path: Path) -> None:
    head, _ = MINIMAL.split("sets =")
    with pytest.raises(ConfigError, match=r"validation\.sets is empty; give at least one set"):
        load(tmp_path, head + "sets = []")
    without = MINIMAL.replace(MINIMAL[MINIMAL.index("[[corpora]]") : MINIMAL.index("[training]")], "corpora = []\n")
    with pytest.raises(ConfigError, match=r"corpora is empty; give at least one \[\[corpora\]\] table"):
        load(tmp_path, without)


def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no config file .*nowhere\.toml; see configs/"):
        load_config(tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path)
    with pytest.raises(ConfigError, match=r"experiment\.toml is not valid TOML"):
        load(tmp_path, "name = m")
    (tmp_path / "latin.toml").write_bytes('name = "Müller"'.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.toml is not valid TOML"):
        load_config(tmp_path / "latin.toml")
