"""Every command of the README is run, or says in a comment before its block why not.

`<!-- test: run -->` runs a block in an empty folder with a `.venv` and a letter; `serve` starts it and leaves it
running; `with server` runs it against that server; `skip, because` is not run.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
LETTER = "Dear Anna,\n\nthank you for your letter. How are you?\n"
BLOCK = re.compile(r"(?:<!-- test: (?P<how>[^\n]*) -->\n)?```(?P<language>\w+)\n(?P<code>.*?)```", re.DOTALL)
START_SECONDS = 60

pytestmark = pytest.mark.integration


class Block(NamedTuple):
    """A piece of code in the README."""

    how: str
    language: str
    code: str


def readme_blocks() -> list[Block]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = [Block(match["how"] or "", match["language"], match["code"]) for match in BLOCK.finditer(text)]
    return [block for block in found if block.language != "text"]


def blocks_to(how: str) -> list[object]:
    return [pytest.param(b, id=b.code.split("\n")[0][:60]) for b in readme_blocks() if b.how == how]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (tmp_path / "letter.txt").write_text(LETTER)
    return tmp_path


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of the service as the README starts it, but for the port and the installation."""
    [block] = [block for block in readme_blocks() if block.how == "serve"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # -o: the environment that runs this test is installed already
    command = block.code.replace("make ", "make -o .venv/.installed ")
    environment = os.environ | {"CAROUSEL_PORT": str(port)}
    process = subprocess.Popen(["bash", "-ec", command], cwd=ROOT, env=environment, start_new_session=True)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for_health(address, process)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def wait_for_health(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the service was not healthy within {START_SECONDS} seconds")


def run(block: Block, folder: Path) -> str:
    program = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}[block.language]
    result = subprocess.run([*program, block.code], cwd=folder, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_every_block_says_how_it_is_tested() -> None:
    for block in readme_blocks():
        assert re.fullmatch(r"run|serve|with server|skip, .+", block.how), block.code


@pytest.mark.parametrize("block", blocks_to("run"))
def test_block_runs(block: Block, folder: Path) -> None:
    output = run(block, folder)
    assert output.strip()
    if "letter.de.txt" in block.code:
        translated = (folder / "letter.de.txt").read_text(encoding="utf-8")
        assert [bool(line) for line in translated.split("\n")] == [bool(line) for line in LETTER.split("\n")]


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README asks with curl, which is not here")
@pytest.mark.parametrize("block", blocks_to("with server"))
def test_block_runs_against_the_server(block: Block, folder: Path, server: str) -> None:
    assert "http://127.0.0.1:8000" in block.code
    output = run(block._replace(code=block.code.replace("http://127.0.0.1:8000", server)), folder)
    assert output.strip()
    assert '"error"' not in output


@pytest.mark.parametrize("verb", re.findall(r"\bmake ([a-z-]+)", "\n".join(b.code for b in readme_blocks())))
def test_verbs_of_make_exist(verb: str) -> None:
    assert re.search(rf"^{verb}:.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_files_that_are_linked_exist() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_first_answer_in_the_reference_of_the_service_is_true(server: str) -> None:
    text = (ROOT / "docs/rest.md").read_text(encoding="utf-8")
    question, answer = re.search(r"curl -d '(\{.*?\})'", text), re.search(r"```json\n(\{.*?\})\n```", text)
    assert question is not None and answer is not None
    request = urllib.request.Request(f"{server}/translate", question[1].encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        assert json.load(response) == json.loads(answer[1])
