"""The command on its own: a translator that turns letters round stands in for the real one."""

import errno
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from typer.testing import CliRunner

from api.settings import Settings
from carousel import __version__
from carousel.cli import app
from carousel.failures import sentence_for
from translator.config import DecodingOptions
from translator.errors import CheckpointError, LanguageError

COMMANDS = [
    "translate",
    "serve",
    "models",
    "link",
    "characters",
    "back-translate",
    "shortlist",
    "prepare",
    "train",
    "evaluate",
    "align",
    "calibrate",
    "export",
    "keys",
]


class MirrorTranslation:
    def __init__(self, text: str, n_best: int) -> None:
        self.text = text[::-1]
        self.alternatives = tuple(f"{self.text}{n}" for n in range(2, n_best + 1))

    @property
    def warnings(self) -> tuple[str, ...]:
        return ("'?' was copied.",) if self.text == "?" else ()

    def to_json(self) -> dict[str, object]:
        return {"text": self.text, "score": -0.5}


class MirrorTranslator:
    loaded: tuple[str | None, int | None, str] | None = None
    options = DecodingOptions()
    workers = 0
    detailed = True
    languages = ("de", "en")

    @classmethod
    def load(
        cls, path_or_name: str | None = None, *, threads: int | None = None, compute_type: str
    ) -> "MirrorTranslator":
        if path_or_name == "missing":
            raise CheckpointError("There is no model 'missing': see carousel models\nfor those there are.")
        cls.loaded = (path_or_name, threads, compute_type)
        return cls()

    @property
    def manifest(self) -> SimpleNamespace:
        return SimpleNamespace(decoding=DecodingOptions(beam_size=7, length_penalty=0.3))

    def check_direction(self, source: str, target: str) -> None:
        if target == "xx":
            raise LanguageError("'xx' is not supported: this model speaks de and en.")

    def translate(
        self,
        texts: Sequence[str],
        *,
        source: str,
        target: str,
        options: DecodingOptions,
        detailed: bool,
        workers: int,
        progress: Callable[[int, int], None],
    ) -> list[MirrorTranslation]:
        progress(1, 2)
        type(self).options, type(self).workers, type(self).detailed = options, workers, detailed
        if "full disk" in texts:
            raise OSError(errno.ENOSPC, "No space left on device")
        if "stop" in texts:
            raise KeyboardInterrupt
        if "fault" in texts:
            raise ValueError("a fault of ours")
        return [MirrorTranslation(text, options.n_best) for text in texts]


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> type[MirrorTranslator]:
    stand_in(monkeypatch, "translator.inference", Translator=MirrorTranslator)
    return MirrorTranslator


def run(*arguments: str | Path, stdin: str = "") -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
    return result.exit_code, result.stdout, result.stderr


def translate(*arguments: str | Path, stdin: str = "") -> tuple[int, str, str]:
    return run("translate", "--from", "en", "--to", "de", *arguments, stdin=stdin)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_page(command: str) -> None:
    code, page, _ = run(command, "--help")
    assert code == 0
    assert f"Usage: root {command}" in page or f"{command} [OPTIONS]" in page
    assert len(page.splitlines()) > 5


def test_the_first_page_names_every_command() -> None:
    code, page, _ = run("--help")
    assert code == 0
    assert all(f"  {command} " in page for command in COMMANDS)


def test_version() -> None:
    assert run("--version")[:2] == (0, f"carousel {__version__}\n")


def test_help_loads_neither_torch_nor_the_web() -> None:
    heavy = {"torch", "numpy", "sentencepiece", "fastapi", "sacrebleu", "rich"}
    code = f"import sys, carousel.cli; sys.exit(bool({heavy!r} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.usefixtures("mirror")
class TestTranslate:
    def test_stdin_line_by_line(self) -> None:
        assert translate(stdin="ab\n\ncd\n") == (0, "ba\n\ndc\n", "")

    def test_files_one_after_the_other(self, tmp_path: Path) -> None:
        for name, text in (("one", "ab\n"), ("two", "cd")):
            (tmp_path / name).write_text(text)
        assert translate(tmp_path / "one", tmp_path / "two")[1] == "ba\ndc\n"

    def test_a_dash_is_stdin_among_files(self, tmp_path: Path) -> None:
        (tmp_path / "one").write_text("ab\n")
        assert translate(tmp_path / "one", "-", stdin="cd")[1] == "ba\ndc\n"

    def test_texts_on_the_command_line(self) -> None:
        assert translate("--text", "ab", "-t", "cd")[1] == "ba\ndc\n"

    def test_nothing_in_nothing_out(self) -> None:
        assert translate(stdin="") == (0, "", "")

    def test_more_lines_than_one_call_takes_keep_their_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("carousel.translate.LINES_PER_CALL", 2)
        assert translate(stdin="a1\na2\na3\na4\na5\n")[1] == "1a\n2a\n3a\n4a\n5a\n"

    def test_json_is_one_object_a_line_in_plain_letters(self) -> None:
        _, lines, _ = translate("--json", stdin="ü\nab\n")
        assert [json.loads(line)["text"] for line in lines.splitlines()] == ["ü", "ba"]
        assert "ü" in lines

    def test_what_is_not_shown_is_not_asked_for(self, mirror: type[MirrorTranslator]) -> None:
        translate("--text", "ab")
        assert not mirror.detailed
        translate("--text", "ab", "--json")
        assert mirror.detailed

    def test_n_best_stand_side_by_side(self) -> None:
        assert translate("--n-best", "3", stdin="ab\ncd\n")[1] == "ba\tba2\tba3\ndc\tdc2\tdc3\n"

    def test_a_tab_in_a_text_is_no_column_among_the_n_best(self) -> None:
        assert translate("--n-best", "2", stdin="a\tb\n")[1] == "b a\tb a2\n"
        assert translate("--n-best", "2", "--text", "\tab")[1] == "ba\tba 2\n", "nor does one end a column"
        assert translate("--n-best", "1", stdin="a\tb\n")[1] == "b\ta\n", "a translation alone keeps its tabs"

    def test_output_goes_to_a_file(self, tmp_path: Path) -> None:
        assert translate("--output", tmp_path / "out", stdin="ab\n") == (0, "", "")
        assert (tmp_path / "out").read_text() == "ba\n"

    @pytest.mark.parametrize(
        ("options", "loaded"),
        [
            ((), (None, None, "auto")),
            (("--model", "mine", "--threads", "3", "--compute-type", "bfloat16"), ("mine", 3, "bfloat16")),
        ],
    )
    def test_model_threads_and_compute_type_reach_the_translator(
        self, mirror: type[MirrorTranslator], options: tuple[str, ...], loaded: tuple[object, ...]
    ) -> None:
        translate(*options, stdin="ab")
        assert mirror.loaded == loaded

    @pytest.mark.parametrize(("options", "workers"), [((), 1), (("--workers", "3"), 3)])
    def test_workers_reach_the_translator(
        self, mirror: type[MirrorTranslator], options: tuple[str, ...], workers: int
    ) -> None:
        translate(*options, stdin="ab")
        assert mirror.workers == workers

    def test_warnings_go_to_stderr_with_the_line(self) -> None:
        assert translate(stdin="ab\n?\n") == (0, "ba\n?\n", "line 2: '?' was copied.\n")

    def test_search_is_as_the_checkpoint_recommends(self, mirror: type[MirrorTranslator]) -> None:
        translate(stdin="ab")
        assert mirror.options == DecodingOptions(beam_size=7, length_penalty=0.3)

    def test_search_is_as_the_command_line_says(self, mirror: type[MirrorTranslator]) -> None:
        translate("--beam-size", "2", "--coverage-penalty", "0.1", stdin="ab")
        assert mirror.options == DecodingOptions(beam_size=2, length_penalty=0.3, coverage_penalty=0.1)

    @pytest.mark.parametrize(
        ("arguments", "stdin", "sentence"),
        [
            pytest.param(["nowhere.txt"], "", "There is no file nowhere.txt: check", id="missing file"),
            pytest.param(["Where is it?"], "", "if that is the text, put --text before it.", id="text as a file"),
            pytest.param(["a " * 200], "", "if that is the text, put --text before it.", id="long text as a file"),
            pytest.param(["--text", "a", "b.txt"], "", "Both --text and files", id="text and files"),
            pytest.param(["--text", "\udcff"], "", "is not UTF-8: check the encoding", id="broken text"),
            pytest.param(["--to", "xx"], "a", "'xx' is not supported: this model", id="unknown language"),
            pytest.param(["--model", "missing"], "a", "see carousel models for those there are.", id="no such model"),
            pytest.param(["--n-best", "9"], "a", "n_best is 9, wanted 1 to beam_size = 7", id="n-best too large"),
            pytest.param([], "full disk", "No space left on device", id="full disk"),
        ],
    )
    def test_refusals_are_one_sentence(self, arguments: list[str], stdin: str, sentence: str) -> None:
        code, output, complaint = translate(*arguments, stdin=stdin)
        assert (code, output) == (2, "")
        assert complaint.startswith("carousel: ") and complaint.count("\n") == 1
        assert sentence in complaint

    def test_ctrl_c_exits_as_a_shell_expects(self, tmp_path: Path) -> None:
        assert translate("-o", tmp_path / "out", stdin="stop")[::2] == (130, "Interrupted.\n")
        assert not list(tmp_path.iterdir())

    def test_a_fault_of_ours_keeps_its_traceback(self) -> None:
        with pytest.raises(ValueError, match="a fault of ours"):
            CliRunner().invoke(
                app,
                ["translate", "--from", "en", "--to", "de"],
                input="fault",
                catch_exceptions=False,
            )


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **functions: object) -> None:
    """Put a module with these functions in the place of a heavy one."""
    module = ModuleType(name)
    vars(module).update(functions)
    monkeypatch.setitem(sys.modules, name, module)


def test_train_passes_on_what_is_asked_and_sums_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def experiment(config: Path, *, resume: bool, prepared: Path | None) -> SimpleNamespace:
        asked.append((config, resume, prepared))
        logging.getLogger("training").info("half way")
        return SimpleNamespace(step=200, seconds=90.0, best_bleu=31.25, best_step=150)

    stand_in(monkeypatch, "training.experiment", train=experiment)
    code, summary, log = run("train", "--config", "toy.toml", "--resume", "--prepared", "text")
    assert (code, asked) == (0, [(Path("toy.toml"), True, Path("text"))])
    assert summary == "200 steps in 2 minutes; best BLEU on held-out text 31.25, at step 150.\n"
    assert log.endswith(" half way\n")


def test_link_says_how_many_links_it_wrote_and_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[object]()

    def link_corpora(config: object) -> list[tuple[Path, int]]:
        asked.append(config)
        return [(tmp_path / "one.links", 1234), (tmp_path / "two.links", 5)]

    stand_in(monkeypatch, "training.config", load_config=lambda path: f"read {path}")
    stand_in(monkeypatch, "training.aligner", link_corpora=link_corpora)
    code, said, _ = run("link", "--config", "toy.toml")
    assert code == 0
    assert asked == ["read toy.toml"]
    assert said == f"1,234 links in {tmp_path / 'one.links'}.\n5 links in {tmp_path / 'two.links'}.\n"


def test_prepare_passes_on_what_is_asked_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def prepare_and_save(*given: Path) -> int:
        asked.extend(given)
        return 12345

    stand_in(monkeypatch, "training.experiment", prepare_and_save=prepare_and_save)
    found = run("prepare", "--config", "toy.toml", "text")
    assert (asked, found[:2]) == ([Path("toy.toml"), Path("text")], (0, "12,345 examples in text.\n"))


def test_of_several_workers_one_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    def experiment(config: Path, *, resume: bool, prepared: Path | None) -> SimpleNamespace:
        logging.getLogger("training").info("half way")
        return SimpleNamespace(step=1, seconds=1.0, best_bleu=1.0, best_step=1)

    stand_in(monkeypatch, "training.experiment", train=experiment)
    monkeypatch.setenv("RANK", "1")
    assert run("train", "--config", "toy.toml") == (0, "", "")


def test_serve_lets_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Settings] = []
    stand_in(monkeypatch, "api.app", serve=served.append)
    monkeypatch.setenv("CAROUSEL_HOST", "0.0.0.0")
    monkeypatch.setenv("CAROUSEL_PORT", "9000")
    monkeypatch.setenv("CAROUSEL_COMPUTE_TYPE", "float32")
    assert run("serve", "--port", "9001", "--model", "mine", "--compute-type", "bfloat16")[0] == 0
    [settings] = served
    assert (settings.host, settings.port, settings.model) == ("0.0.0.0", 9001, "mine")
    assert settings.compute_type == "bfloat16"


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = (
        "import sys, types\n"
        "sys.path.insert(0, sys.argv.pop(1))\n"
        "from tests.carousel.test_cli import MirrorTranslator\n"
        "module = types.ModuleType('translator.inference'); module.Translator = MirrorTranslator\n"
        "sys.modules['translator.inference'] = module\n"
        "from carousel.__main__ import main\n"
        "main()\n"
    )
    root = str(Path(__file__).parents[2])
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    writer = subprocess.Popen(
        [sys.executable, "-c", code, root, "translate", "--from", "en", "--to", "de"],
        stdin=subprocess.PIPE,
        stdout=reader.stdin,
        stderr=subprocess.PIPE,
    )
    reader.communicate()
    _, complaint = writer.communicate(b"text\n" * 100_000)
    assert (writer.returncode, complaint) == (141, b"")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        pytest.param(
            ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn"),
            "the module 'uvicorn' is not installed: pip install 'carousel-translator[serve]'.",
            id="the serve extra is missing",
        ),
        pytest.param(
            ModuleNotFoundError("No module named 'training'", name="training"),
            "the module 'training' is not installed: pip install 'carousel-translator[train]'.",
            id="the image that only serves",
        ),
        pytest.param(ModuleNotFoundError("x", name="training.trainer"), None, id="a module of ours is a fault"),
        pytest.param(
            PermissionError(errno.EACCES, "Permission denied", "/root/out"),
            "/root/out: Permission denied",
            id="the file is named",
        ),
    ],
)
def test_sentences(error: Exception, sentence: str | None) -> None:
    assert sentence_for(error) == sentence
