import errno
import io
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carousel.files import STDIN, open_output, read_lines, typed_lines
from translator.errors import InputError


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"\n", [""], id="one blank line"),
        pytest.param(b"a\nb\n", ["a", "b"], id="two lines"),
        pytest.param(b"a\nb", ["a", "b"], id="no line end at the end"),
        pytest.param(b"a\n\nb\n", ["a", "", "b"], id="a blank line between"),
        pytest.param(b"a\r\nb\r\n", ["a\r", "b\r"], id="Windows line ends stay in the line"),
        pytest.param(b"\xef\xbb\xbfa\n", ["a"], id="byte order mark"),
        pytest.param("a\u2028b\x0bc\n".encode(), ["a\u2028b\x0bc"], id="other separators do not end a line"),
    ],
)
def test_lines_of_a_file(tmp_path: Path, data: bytes, lines: list[str]) -> None:
    path = tmp_path / "text"
    path.write_bytes(data)
    assert read_lines(path) == lines


@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]))))
def test_written_lines_are_read_back(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.mktemp("round-trip") / "text"
    with open_output(path) as output:
        output.writelines(f"{line}\n" for line in lines)
    if lines and lines[0].startswith("\ufeff"):
        lines = [lines[0][1:], *lines[1:]]  # read as a byte order mark
    assert read_lines(path) == lines


def test_stdin_is_read_like_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Grüße\nan alle".encode())))
    assert read_lines(STDIN) == ["Grüße", "an alle"]


def test_typed_lines_come_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\ntwo")))
    assert list(typed_lines()) == ["one", "two"]


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file .*letter\.txt: check the name"):
        read_lines(tmp_path / "letter.txt")


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder: name the text files in it"):
        read_lines(tmp_path)


def test_text_that_is_not_utf8_is_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "latin-1"
    path.write_bytes("ok\nGrüße\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin-1 is not UTF-8 text \(byte 0xfc in line 2\)"):
        read_lines(path)


def test_output_appears_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("old")
    with open_output(path) as output:
        output.write("new")
        output.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["out"]


def test_failure_leaves_the_old_output_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), open_output(path) as output:
        output.write("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_output_keeps_the_permissions_of_what_it_replaces(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.touch()
    path.chmod(0o640)
    with open_output(path) as output:
        output.write("x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with open_output(tmp_path / "link") as output:
        output.write("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_device_is_written_to_and_stays() -> None:
    with open_output(Path("/dev/null")) as output:
        output.write("x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_pipe_is_written_to() -> None:
    reader, writer = os.pipe()  # what a shell passes for `-o >(gzip)`
    with open_output(Path(f"/dev/fd/{writer}")) as output:
        output.write("ä\n")
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        assert pipe.read() == "ä\n"


def write_to_dev_stdout(stdout: int | IO[bytes]) -> bytes:
    code = (
        "from pathlib import Path; from carousel.files import open_output\n"
        "with open_output(Path('/dev/stdout')) as output: output.write('new\\n')"
    )
    root = Path(__file__).parents[2]
    return subprocess.run([sys.executable, "-c", code], cwd=root, stdout=stdout, check=True).stdout


def test_stdout_by_its_name_is_a_pipe_when_it_is_one() -> None:
    assert write_to_dev_stdout(subprocess.PIPE) == b"new\n"


def test_stdout_by_its_name_is_appended_to_as_the_shell_says(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("old\n")
    with path.open("ab") as file:  # `>> out`
        write_to_dev_stdout(file)
    assert path.read_text() == "old\nnew\n"


def test_a_folder_that_may_not_be_written_to_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**wanted: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / ".hidden"))

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    sentence = rf"^{tmp_path}/out cannot be written \(Permission denied\): .*or make {tmp_path} one you may write to\.$"
    with pytest.raises(InputError, match=sentence), open_output(tmp_path / "out"):
        pass


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        pytest.param(".", "is a folder: name a file in it", id="the output is a folder"),
        pytest.param("missing/out", "no folder .*missing to write out into", id="the folder is missing"),
    ],
)
def test_output_that_cannot_be_is_refused(tmp_path: Path, path: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence), open_output(tmp_path / path):
        pass
