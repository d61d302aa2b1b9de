"""Lines in, lines out: reading text files and stdin, and writing an output file that is whole or not there.

A line ends at a line feed and nowhere else, so that line n of the output is the translation of line n of the
input; a carriage return before it is kept as white space at the end of the line.
"""

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from translator.errors import InputError

STDIN = Path("-")
STDOUT = Path("/dev/stdout")  # a file behind it must be written on, not replaced


def read_lines(path: Path) -> list[str]:
    """Read a whole UTF-8 text as lines without their ends; `-` is stdin, a byte order mark is dropped.

    Raises:
        InputError: When there is no such file, or it is not UTF-8 text.
    """
    data = sys.stdin.buffer.read() if path == STDIN else _read_bytes(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{_name(path)} is not UTF-8 text (byte 0x{data[error.start]:02x} in line {line}): "
            "convert it first, for example with iconv."
        ) from None
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()  # what follows the last line end is no line
    return lines


def typed_lines() -> Iterator[str]:
    """Yield the lines of a terminal as they are typed."""
    for line in io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace", newline="\n"):
        yield line.removesuffix("\n")


def _read_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise InputError(f"{path} is a folder: name the text files in it.")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"There is no file {path}: check the name, or use - for stdin.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None


def _name(path: Path) -> str:
    return "The text on stdin" if path == STDIN else str(path)


@contextmanager
def open_output(path: Path | None) -> Iterator[TextIO]:
    """Open a file for UTF-8 text so that it appears whole or not at all; None is stdout.

    The text goes to a hidden file beside it, which takes its name at the end. Devices and pipes are written
    to directly.

    Raises:
        InputError: When the folder is missing or may not be written to, or the path is a folder.
    """
    if path is None or path == STDOUT:
        yield _utf8_stdout()
        return
    if path.exists() and not path.is_file() and not path.is_dir():
        # before resolve(): the name of a pipe, as in `-o >(gzip)`, leads to no path that could be opened
        with path.open("w", encoding="utf-8", newline="\n") as output:
            yield output
        return
    path = path.resolve()
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file in it for the output.")
    if not path.parent.is_dir():
        raise InputError(f"There is no folder {path.parent} to write {path.name} into: make it first.")
    with _replacing(path) as output:
        yield output


@contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".carousel-")
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}): "
            f"name a file in another folder, or make {path.parent} one you may write to."
        ) from None
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as output:
            yield output
            output.flush()
            os.fsync(output.fileno())
        os.chmod(temporary, path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)  # the mask can only be read by setting it
    os.umask(mask)
    return mask


def _utf8_stdout() -> TextIO:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    return sys.stdout
