"""The whole command on a small model that has learnt nothing, and as a process where signals matter."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from carousel.cli import app
from tests.training.small_run import write_run
from training.tokenizer import learn_tokenizer
from translator.catalogue import DEFAULT_MODEL, pretrained_models
from translator.checkpoint import Checkpoint, Manifest, Score, read_manifest, save_checkpoint
from translator.config import ModelConfig
from translator.model import TranslationModel
from translator.tokenizer import Tokenizer

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights: what it says is nonsense, but it goes all the way."""
    sentences = [" ".join(each) for each in product(["the", "a"], ["red", "old", "big"], ["house", "dog", "car"])]
    data = learn_tokenizer([*sentences, *map(str.upper, sentences)] * 3, vocab_size=36, languages=("de", "en"))
    tokenizer = Tokenizer.from_bytes(data)
    sizes = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        embedding_size=8,
        encoder_size=8,
        decoder_layers=1,
        decoder_size=8,
        dropout=0.0,
    )
    torch.manual_seed(2)
    manifest = Manifest(
        name="nonsense",
        model=sizes,
        languages=("de", "en"),
        directions=(("en", "de"), ("de", "en")),
        scores=(Score(test_set="dev", source="en", target="de", metric="BLEU", value=0.1, signature="v1"),),
        licence="CC0-1.0",
    )
    path = tmp_path_factory.mktemp("models") / "nonsense"
    checkpoint = Checkpoint.of(manifest, TranslationModel.from_config(sizes), tokenizer)
    save_checkpoint(path, checkpoint, card="# nonsense\n")
    return path


def carousel(*arguments: str | Path, stdin: str = "") -> tuple[int, str, str]:
    """Run the command in this process, which has loaded torch already."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def start(*arguments: str | Path, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    """Run the command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "carousel", *map(str, arguments)],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        encoding="utf-8",
    )


def translate(model: Path, *arguments: str | Path, stdin: str = "") -> tuple[int, str, str]:
    return carousel("translate", "--from", "en", "--to", "de", "--model", model, *arguments, stdin=stdin)


def test_lines_blank_lines_and_what_has_no_words(model: Path) -> None:
    lines = ["the red house", "", "  \t", "🙂🙂", "12 + 30", "  a dog "]
    code, output, _ = translate(model, stdin="\n".join(lines) + "\n")
    translated = output.split("\n")
    assert code == 0
    assert len(translated) == len(lines) + 1
    assert translated[1:5] == lines[1:5]
    assert (translated[5][:2], translated[5][-1]) == ("  ", " ")


def test_json_says_where_words_come_from(model: Path) -> None:
    code, output, _ = translate(model, "--json", "--n-best", "2", "--text", "the red house")
    answer = json.loads(output)
    assert code == 0
    assert (answer["source_text"], answer["source"], answer["target"]) == ("the red house", "en", "de")
    assert answer["score"] <= 0
    assert all(token["log_prob"] <= 0 for token in answer["tokens"])
    assert len(answer["alternatives"]) == 1
    for link in answer["alignment"]:
        assert answer["source_text"][link["source_start"] : link["source_end"]].strip()
        assert answer["text"][link["target_start"] : link["target_end"]].strip()


def test_the_same_text_gives_the_same_lines_alone_and_among_others(model: Path) -> None:
    alone = translate(model, stdin="a big car\n")[1]
    assert (
        translate(model, stdin="the old dog\na big car\nthe red house the red house\n")[1].split("\n")[1] + "\n"
        == alone
    )


def test_codes_may_be_typed_in_any_case(model: Path) -> None:
    asked = carousel("translate", "--from", "EN", "--to", "De", "--model", model, "--text", "a dog")
    assert asked == translate(model, "--text", "a dog")


def test_files_to_a_file(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("a dog\na car\n")
    assert translate(model, tmp_path / "in", "-o", tmp_path / "out")[:2] == (0, "")
    assert len((tmp_path / "out").read_text().splitlines()) == 2


def test_the_list_of_models_names_a_folder(model: Path) -> None:
    code, page, _ = carousel("models", model)
    assert code == 0
    assert all(fact in page for fact in ("nonsense", "en → de, de → en", "CC0-1.0", "BLEU 0.1", "v1"))
    last = json.loads(carousel("models", model, "--json")[1].splitlines()[-1])
    assert (last["name"], last["path"], last["languages"]) == ("nonsense", str(model), ["de", "en"])


class TestRefusals:
    """Each is one sentence on stderr, nothing on stdout, and exit code 2."""

    def refusal(self, model: Path, *arguments: str | Path) -> str:
        code, output, complaint = translate(model, *arguments, "--text", "a dog")
        assert (code, output) == (2, "")
        assert complaint.startswith("carousel: ") and complaint.count("\n") == 1
        return complaint

    def damaged(self, model: Path, tmp_path: Path) -> Path:
        return Path(shutil.copytree(model, tmp_path / "damaged"))

    def test_no_such_model(self, tmp_path: Path) -> None:
        assert "There is no checkpoint" in self.refusal(tmp_path / "nowhere")

    def test_a_folder_that_is_no_checkpoint(self, tmp_path: Path) -> None:
        assert "wanted a folder that holds manifest.json" in self.refusal(tmp_path)

    def test_weights_that_are_missing(self, model: Path, tmp_path: Path) -> None:
        folder = self.damaged(model, tmp_path)
        (folder / "model.safetensors").unlink()
        assert "holds no model.safetensors; copy the checkpoint again" in self.refusal(folder)

    def test_weights_that_were_altered(self, model: Path, tmp_path: Path) -> None:
        folder = self.damaged(model, tmp_path)
        weights = bytearray((folder / "model.safetensors").read_bytes())
        weights[-1] ^= 1
        (folder / "model.safetensors").write_bytes(weights)
        assert "was cut short or altered" in self.refusal(folder)

    def test_a_newer_format(self, model: Path, tmp_path: Path) -> None:
        folder = self.damaged(model, tmp_path)
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps(manifest | {"format_version": 99}))
        assert "checkpoint format 99" in self.refusal(folder)
        assert "upgrade Carousel" in self.refusal(folder)

    def test_an_unknown_language(self, model: Path) -> None:
        assert "'xx' is not supported; choose from: de, en." in self.refusal(model, "--to", "xx")

    def test_a_full_disk(self, model: Path) -> None:
        if not os.path.exists("/dev/full"):
            pytest.skip("this system has no /dev/full, a device that is always full: run the test on Linux")
        code, _, complaint = translate(model, "--text", "a dog", "-o", "/dev/full")
        assert code == 2
        assert complaint.endswith("carousel: No space left on device\n")

    def test_a_setting_that_cannot_be(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CAROUSEL_PORT", "eighty")
        code, _, complaint = carousel("serve")
        assert (code, complaint.count("\n")) == (2, 1)
        assert "CAROUSEL_PORT" in complaint and "'eighty'" in complaint

    def test_a_config_that_is_not_there(self, tmp_path: Path) -> None:
        code, _, complaint = carousel("train", "--config", tmp_path / "none.toml")
        assert (code, complaint.count("\n")) == (2, 1)
        assert "none.toml" in complaint


@pytest.fixture
def test_set(tmp_path: Path) -> tuple[Path, Path]:
    files = tmp_path / "text.en", tmp_path / "text.de"
    for file in files:
        file.write_text("the red house\na dog\nthe old car the big car a big old dog\n")
    return files


def evaluate(model: Path, *arguments: str | Path) -> tuple[int, str, str]:
    return carousel("evaluate", "--from", "en", "--to", "de", "--model", model, *arguments)


def test_a_report_has_scores_with_signatures(model: Path, test_set: tuple[Path, Path]) -> None:
    code, report, _ = evaluate(model, *test_set)
    assert code == 0
    assert report.startswith("nonsense on text.en, en → de, 3 sentences, beam 5, ")
    for metric in ("BLEU", "chrF", "TER"):
        assert re.search(rf"^{metric} +\d+\.\d\d  nrefs:1\|.*version:", report, re.MULTILINE)
    assert "sentences per second" in report


def test_translations_are_written_out_and_compared_with_another_system(
    model: Path, test_set: tuple[Path, Path], tmp_path: Path
) -> None:
    source, reference = test_set
    code, report, _ = evaluate(model, source, reference, "-o", tmp_path / "ours", "--compare", reference, "--json")
    facts = json.loads(report)
    assert code == 0
    assert len((tmp_path / "ours").read_text().splitlines()) == 3
    assert facts["comparisons"][0]["theirs"] == pytest.approx(100)  # the reference itself
    assert facts["comparisons"][0]["ours"] == pytest.approx(facts["scores"][0]["value"], abs=1e-3)


def align(model: Path | str, *arguments: str | Path) -> tuple[int, str, str]:
    return carousel("align", "--from", "en", "--to", "de", "--model", model, *arguments)


@pytest.mark.skipif(
    DEFAULT_MODEL not in pretrained_models(),
    reason="translator/pretrained holds no default model: git checkout translator/pretrained",
)
def test_words_are_linked_line_by_line_and_judged_by_a_gold_file(tmp_path: Path) -> None:
    source, target, gold, links = (tmp_path / name for name in ("en", "de", "gold", "links"))
    source.write_text("the red house\n\nhe did not see the dog yesterday .\n", encoding="utf-8")
    target.write_text("das rote Haus\n\ngestern sah er den Hund nicht .\n", encoding="utf-8")
    code, output, _ = align(DEFAULT_MODEL, source, target)
    assert code == 0
    first, empty, third = output.splitlines()
    assert (first, empty) == ("0-0 1-1 2-2", "")
    assert {"0-2", "2-5", "5-4", "6-0", "7-6"} <= set(third.split()), "he, not, dog, yesterday and the stop"
    from_one = re.sub(r"\d+", lambda number: str(int(number[0]) + 1), output)
    gold.write_text(from_one, encoding="utf-8")
    assert align(DEFAULT_MODEL, source, target, "--gold", gold, "--output", links) == (
        0,
        "alignment error rate 0.0 %, precision 100.0 %, recall 100.0 %, 3 sentences\n",
        "",
    )
    assert links.read_text() == output


def test_texts_of_unlike_length_are_not_aligned(model: Path, test_set: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "short").write_text("a dog\n")
    code, _, sentence = align(model, test_set[0], tmp_path / "short")
    assert code == 2
    assert "has 3 lines" in sentence
    assert "must be the translation of line n of the other" in sentence


def test_what_was_measured_goes_into_the_checkpoint_that_is_exported(
    model: Path, test_set: tuple[Path, Path], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    report.write_text(evaluate(model, *test_set, "--json", "--name", "held out")[1])
    small = tmp_path / "small"
    code, line, _ = carousel(
        "export", model, small, "--weights", "int8", "--name", "tiny", "--scores", report, "--beam-size", "2"
    )
    assert (code, line[:6]) == (0, "tiny: ")
    manifest = read_manifest(small)
    assert (manifest.name, manifest.stored_type, manifest.decoding.beam_size) == ("tiny", "int8", 2)
    assert {score.test_set for score in manifest.scores} == {"dev", "held out"}
    assert translate(small, "--text", "a dog")[0] == 0
    assert carousel("export", model, small)[0] == 0  # a checkpoint may be replaced
    assert read_manifest(small).stored_type == "bfloat16"


def test_a_calibrated_model_says_how_sure_it_is(model: Path, tmp_path: Path) -> None:
    text, reference, report, small = (tmp_path / name for name in ("text", "reference", "report", "small"))
    words = (("the", "a"), ("red", "old", "big"), ("house", "dog", "car"), ("the", "a"), ("red", "old"), ("dog", "car"))
    lines = [" ".join(each) for each in product(*words)]
    text.write_text("\n".join(lines) + "\n")
    answers = translate(model, text)[1].splitlines()
    # Every other answer is as its reference says; the rest have nothing in common with it.
    reference.write_text("".join(f"{line if row % 2 else '#'}\n" for row, line in enumerate(answers)))
    arguments = ("calibrate", "--from", "en", "--to", "de", text, reference, "--model", model, "--name", "made up")
    code, table, _ = carousel(*arguments, "--picture", tmp_path / "picture.svg")
    assert (code, table.splitlines()[0]) == (
        0,
        "nonsense on made up, en → de, 144 lines of one sentence, 50.0% right (chrF of at least 60)",
    )
    assert (tmp_path / "picture.svg").read_text(encoding="utf-8").startswith("<svg ")
    report.write_text(carousel(*arguments, "--json")[1])
    assert carousel("export", model, small, "--calibration", report)[0] == 0
    assert "Confidence" in (small / "README.md").read_text(encoding="utf-8")
    answer = json.loads(translate(small, "--json", "--text", lines[0])[1])
    assert 0 < answer["confidence"] < 1
    assert answer["sentences"][0]["confidence"] == answer["confidence"]
    assert json.loads(translate(model, "--json", "--text", lines[0])[1])["confidence"] is None


def test_what_cannot_be_calibrated_on(model: Path, test_set: tuple[Path, Path], tmp_path: Path) -> None:
    code, _, complaint = carousel("calibrate", "--from", "en", "--to", "de", *test_set, "--model", model)
    assert (code, complaint.count("\n")) == (2, 1)
    assert "calibration needs at least 100" in complaint
    here = carousel("calibrate", "--from", "en", "--to", "de", *test_set, "--model", model, "--picture", test_set[1])
    assert here[0] == 2
    assert "give a name that ends in .svg" in here[2]
    (tmp_path / "odd").write_text("{}")
    code, _, complaint = carousel("export", model, tmp_path / "out", "--calibration", tmp_path / "odd")
    assert code == 2
    assert "odd is no calibration: wanted what carousel calibrate --json prints" in complaint


def test_a_model_is_given_a_shortlist_that_goes_with_it(model: Path, tmp_path: Path) -> None:
    config, listed, small = write_run(tmp_path), tmp_path / "listed", tmp_path / "small"
    code, line, _ = carousel("shortlist", model, listed, "--config", config)
    assert code == 0
    assert re.fullmatch(r"\d+ pieces a sentence, in which [\d.]+% of .* choose from all\. In .*listed\n", line)
    assert carousel("export", listed, small)[0] == 0
    assert (small / "shortlist.safetensors").read_bytes() == (listed / "shortlist.safetensors").read_bytes()
    assert translate(small, "--text", "the cat runs")[0] == 0
    (small / "shortlist.safetensors").unlink()
    code, _, complaint = translate(small, "--text", "the cat runs")
    assert (code, complaint.count("\n")) == (2, 1)
    assert "holds no shortlist.safetensors; copy the checkpoint again" in complaint


def test_a_shortlist_does_not_replace_its_model(model: Path, tmp_path: Path) -> None:
    code, _, complaint = carousel("shortlist", model, model, "--config", write_run(tmp_path))
    assert (code, complaint.count("\n")) == (2, 1)
    assert "is the checkpoint itself" in complaint


def test_an_export_is_no_larger_than_what_it_came_from(model: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert carousel("export", model, first, "--weights", "int8")[0] == 0
    assert carousel("export", first, second)[0] == 0
    assert read_manifest(second).stored_type == "int8"


def test_an_export_does_not_replace_its_source(model: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(model)
    code, _, complaint = carousel("export", model, tmp_path / "link")
    assert (code, complaint.count("\n")) == (2, 1)
    assert "is the checkpoint itself, which the new one would replace: name another folder" in complaint
    assert read_manifest(model).stored_type == "float32"
    code, _, complaint = carousel("export", model, model / "inside")
    assert code == 2
    assert "lies inside the checkpoint it is made from: name another folder" in complaint


def test_an_export_leaves_the_files_of_others_alone(model: Path, tmp_path: Path) -> None:
    assert carousel("export", model, tmp_path / "out")[0] == 0
    (tmp_path / "out" / "notes.txt").write_text("mine")
    code, _, complaint = carousel("export", model, tmp_path / "out")
    assert code == 2
    assert "holds notes.txt besides the checkpoint, which would be lost: move it, or name another folder" in complaint
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_export_replaces_only_a_checkpoint(model: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    code, _, complaint = carousel("export", model, tmp_path)
    assert code == 2
    assert "is there and is no checkpoint: name a new folder" in complaint
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param([], "Nothing to score: give a source and a reference", id="no files"),
        pytest.param(["text.en"], "Nothing to score: give a source and a reference", id="no reference"),
        pytest.param(["none.en", "none.de"], "There is no file none.en", id="no such file"),
        pytest.param(["text.en", "text.de", "--compare", "one"], "one has 1 lines, the test set 3", id="short rival"),
        pytest.param(["text.en", "one"], "differ in length (3 and 1 lines)", id="short reference"),
        pytest.param(["text.en", "text.de", "--test-set", "x"], "Both files and --test-set were given", id="both"),
        pytest.param(["--test-set", "nothing20"], "sacreBLEU knows no test set 'nothing20'", id="unknown test set"),
    ],
)
def test_what_cannot_be_scored(
    arguments: list[str],
    sentence: str,
    model: Path,
    test_set: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("one").write_text("a line\n")
    code, output, complaint = evaluate(model, *arguments)
    assert (code, output, complaint.count("\n")) == (2, "", 1)
    assert sentence in complaint


@pytest.fixture
def _heard() -> Iterator[None]:
    """What is started hears Ctrl-C, also where the tests themselves run in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_heard")
def test_at_a_terminal_every_line_is_answered_and_ctrl_c_ends(model: Path) -> None:
    keyboard, terminal = os.openpty()
    process = start("translate", "--from", "en", "--to", "de", "--model", model, stdin=terminal)
    try:
        assert process.stdout is not None and process.stderr is not None
        assert process.stderr.readline() == "Type text, one line at a time; Ctrl-D ends.\n"
        for line in (b"12\n", b"13\n"):
            os.write(keyboard, line)
            assert process.stdout.readline() == line.decode()  # a number is copied
        time.sleep(0.5)  # until it reads again: a signal between Python's look for one and the read is not heard
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=30)
        assert (process.returncode, complaint) == (130, "Interrupted.\n")
    finally:
        process.kill()
        os.close(keyboard)
        os.close(terminal)


def test_the_service_starts_says_where_translates_and_ends(model: Path) -> None:
    process = start("serve", "--port", "0", "--model", model)
    try:
        assert process.stderr is not None
        said = (re.search(r"answers at (http://\S+?);", line) for line in process.stderr)
        address = next(match[1] for match in said if match)
        body = json.dumps({"q": "the red house", "source": "en", "target": "de"}).encode()
        request = urllib.request.Request(f"{address}/translate", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            assert isinstance(json.load(response)["translatedText"], str)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.communicate()
