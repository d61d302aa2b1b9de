"""Where there are kernels, neither translating nor serving loads PyTorch, which takes longer than all else."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.translator.conftest import needs_kernels

pytestmark = needs_kernels

FORBIDDEN = "import sys; sys.modules['torch'] = None\n"  # whoever imports it now fails
TRANSLATE = """
from translator.inference import Translator
if __name__ == "__main__":
    translator = Translator.load(threads=1)
    said = translator.translate(["How are you? Good night!"] * 2, source="en", target="fr", workers=2)[0]
    again = translator.score([said.text], ["How are you? Good night!"], source="fr", target="en")[0]
    links = translator.align([["the", "cat"]], [["die", "Katze"]], source="en", target="de")
    print(said.text, said.alignment[:1], again.tokens[:1], links)
"""
SERVE = """
import asyncio
from api.app import create_app, open_models
from api.settings import Settings
from fastapi.testclient import TestClient
for workers in (1, 2):
    settings = Settings(workers=workers)
    with TestClient(create_app(settings, open_models(settings))) as client:
        answer = client.post("/translate", json={"q": "Good night!", "source": "en", "target": "de"})
        print(answer.json()["translatedText"])
"""
COMMAND = """
from carousel.__main__ import main
sys.argv = ["carousel", "translate", "--from", "en", "--to", "de", "--text", "Good night!", "--json"]
main()
"""


def run(code: str) -> str:
    """What a program says in a process where PyTorch cannot be loaded."""
    done = subprocess.run(
        [sys.executable, "-c", FORBIDDEN + code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("what", [TRANSLATE, SERVE, COMMAND], ids=["translate", "serve", "command"])
def test_it_runs_where_pytorch_cannot_be_loaded(what: str) -> None:
    said = run(what)
    assert "Bonne nuit" in said or "Gute Nacht" in said


OTHERWISE = """
from translator.errors import ConfigError
from translator.inference import Translator
for compute_type in ("float32", "auto"):
    if compute_type == "auto":  # what a processor without AVX2 has
        from translator import kernels
        kernels.available = lambda: False
    try:
        Translator.load(compute_type=compute_type)
    except ConfigError as error:
        print(error)
"""


def test_what_only_pytorch_can_do_is_refused_with_what_to_do() -> None:
    said = run(OTHERWISE)
    wanted = "PyTorch is not installed, which computes all but int8 on a processor with Carousel's kernels"
    assert [line.startswith(wanted) for line in said.splitlines()] == [True, True]
    assert "--build-arg PYTORCH=yes" in said
