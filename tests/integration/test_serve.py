"""The service as a process: the real command on a free port, with the default model, and with a slow fake.

It proves what no test inside one process can: the start, the answers over a socket, and the end.
"""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path

import httpx
import pytest
import torch

from api.keys import KeyStore
from training.tokenizer import learn_tokenizer
from translator.catalogue import DEFAULT_MODEL, pretrained_models
from translator.checkpoint import Checkpoint, Manifest, save_checkpoint
from translator.config import ModelConfig
from translator.model import TranslationModel
from translator.tokenizer import Tokenizer

ROOT = Path(__file__).parents[2]
START_SECONDS = 120
LONG = (
    "When the train arrived at the small station by the sea, the old woman who had been waiting on the platform since "
    "the early morning took her heavy suitcase, looked at the clock above the door once more, and smiled."
)
STATION = {"q": "Where is the train station?", "source": "en", "target": "de"}
BODY = json.dumps(STATION).encode()
BY_HAND = (
    b"POST /translate HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)

# A translator that takes SLOW_SECONDS a request or stops when told to, served by the same code as the real one.
SLOW_SERVER = """
import os, time
from api import app
from api.settings import load_settings
from tests.api.fakes import FakeSession, FakeTranslator

class SlowSession(FakeSession):
    def admit(self, requests, **wishes):
        print("at it", flush=True)
        self.end = time.monotonic() + float(os.environ["SLOW_SECONDS"])
        return super().admit(requests, **wishes)

    def cancel(self, ticket):
        print("stopped", flush=True)
        super().cancel(ticket)

    def advance(self):
        time.sleep(0.01)
        return [] if time.monotonic() < self.end else super().advance()

class SlowTranslator(FakeTranslator):
    def session(self, **options):
        return SlowSession(self)

def load(settings):
    if "LOAD_SECONDS" in os.environ:
        print("loading", flush=True)
        time.sleep(float(os.environ["LOAD_SECONDS"]))
    return SlowTranslator()

app.open_models = load
app.serve(load_settings())
"""

pytestmark = pytest.mark.integration

needs_model = pytest.mark.skipif(
    not pretrained_models(),
    reason="translator/pretrained holds no model: train configs/everyday.toml and export it there",
)


class Server:
    """A running process that said where it answers."""

    def __init__(self, process: subprocess.Popen[str], address: str, curl: str) -> None:
        self.process, self.curl = process, curl
        self.client = httpx.Client(base_url=address, timeout=60)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@contextmanager
def running(*command: str, **environment: str) -> Iterator[Server]:
    """Starts a server on a free port and waits for the lines that it prints."""
    with started(*command, **environment) as process:
        output = _read_until(process, "curl ")
        address = re.search(r"Carousel answers at (http://\S+);", output)
        assert address is not None, output
        yield Server(process, address[1], output.splitlines()[-1].strip())


@contextmanager
def started(*command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Starts a process, and ends it."""
    settings = {"CAROUSEL_PORT": "0", "CAROUSEL_HOST": "127.0.0.1", "OMP_NUM_THREADS": "1", **environment}
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def slow_server(seconds: str, **environment: str) -> AbstractContextManager[Server]:
    return running("-c", SLOW_SERVER, SLOW_SECONDS=seconds, **environment)


def _read_until(process: subprocess.Popen[str], wanted: str) -> str:
    """Returns what the process printed up to the line that begins with `wanted`."""
    assert process.stdout is not None
    lines: list[str] = []
    with ThreadPoolExecutor(1) as reader:
        while not lines or not lines[-1].lstrip().startswith(wanted):
            line = reader.submit(process.stdout.readline).result(timeout=START_SECONDS)
            if not line:
                pytest.fail("the server ended before it answered:\n" + "".join(lines))
            lines.append(line)
    return "".join(lines)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running("-m", "carousel", "serve") as started:
        yield started


def test_a_connection_that_was_idle_for_a_while_is_still_there(server_without_a_model: Server) -> None:
    address = server_without_a_model.client.base_url
    connection = http.client.HTTPConnection(address.host, address.port or 80, timeout=30)
    for _ in range(2):
        connection.request("GET", "/languages")
        assert connection.getresponse().read()
        time.sleep(5.5)  # uvicorn by itself closes it after 5


@pytest.fixture
def server_without_a_model() -> Iterator[Server]:
    with slow_server("0") as started:
        yield started


@needs_model
class TestDefaultModel:
    def test_json(self, server: Server) -> None:
        translated = server.client.post("/translate", json=STATION).json()["translatedText"]
        assert translated.startswith("Wo ist")

    def test_a_stream_comes_in_pieces_and_ends_with_the_plain_answer(self, server: Server) -> None:
        wanted = {**STATION, "q": LONG, "alignment": True, "scores": True}
        plain = server.client.post("/translate", json=wanted).json()
        told, body = list[str](), None
        with server.client.stream("POST", "/translate", json={**wanted, "stream": True}) as response:
            for line in response.iter_lines():
                if line.startswith("data: "):
                    body = json.loads(line.removeprefix("data: "))
                    told.append(body.get("delta", ""))
        assert body == plain
        assert plain["translatedText"].startswith("".join(told))
        assert len(list(filter(None, told))) > 5

    def test_form_and_query_answer_like_json(self, server: Server) -> None:
        post = server.client.post
        responses = [post("/translate", data=STATION), post("/translate", params=STATION)]
        expected = post("/translate", json=STATION).json()
        assert [response.json() for response in responses] == [expected] * 2

    def test_array_in_order_with_structure(self, server: Server) -> None:
        texts = ["Good morning!", "", "Where is Anna?\n\nShe is at home.\n", "😀 123"]
        translated = server.client.post("/translate", json={**STATION, "q": texts}).json()["translatedText"]
        assert [bool(text) for text in translated] == [True, False, True, True]
        assert re.fullmatch(r"\S[^\n]*\n\n\S[^\n]*\n", translated[2])
        assert translated[3] == texts[3]

    def test_neighbours_do_not_change_an_answer(self, server: Server) -> None:
        texts = ["I am hungry.", "Where is Anna?", "Good night.", "The book is on the table.", "How are you?"]
        requests = [{**STATION, "q": text} for text in texts * 3]
        alone = [server.client.post("/translate", json=request).json() for request in requests[: len(texts)]]
        with ThreadPoolExecutor(len(requests)) as clients:
            together = list(clients.map(lambda body: server.client.post("/translate", json=body).json(), requests))
        assert together == alone * 3

    def test_every_direction_is_listed_and_served(self, server: Server) -> None:
        languages = {language["code"]: language["targets"] for language in server.client.get("/languages").json()}
        assert languages == {code: ["de", "en", "es", "fr"] for code in ("de", "en", "es", "fr")}
        back = server.client.post("/translate", json={"q": "Wo ist der Bahnhof?", "source": "de", "target": "en"})
        assert "station" in back.json()["translatedText"].lower()

    def test_health_docs_and_page(self, server: Server) -> None:
        assert server.client.get("/health").json() == {"status": "ok"}
        assert server.client.get("/docs").status_code == server.client.get("/").status_code == 200

    def test_the_printed_command_works(self, server: Server) -> None:
        body = re.search(r"-d '([^']+)' -H 'Content-Type: application/json' (\S+)$", server.curl)
        assert body is not None
        response = server.client.post(body[2], content=body[1], headers={"Content-Type": "application/json"})
        assert response.json()["translatedText"]

    def test_a_hundred_thousand_characters_are_translated_whole(self) -> None:
        # Greedy, with time to spare, and each question asked many times over: a sentence is translated once.
        questions = 200
        text = "".join(f"Where is room {i % questions}?\n" for i in range(6000))[:100_000]
        patient = {"CAROUSEL_BEAM_SIZE": "1", "CAROUSEL_DEADLINE_SECONDS": "600"}
        with running("-m", "carousel", "serve", **patient) as server:
            response = server.client.post("/translate", json={**STATION, "q": text}, timeout=600)
        assert response.status_code == 200
        lines = response.json()["translatedText"].split("\n")
        assert len(lines) == text.count("\n") + 1
        assert all(lines[:questions])
        assert lines[:-1] == [lines[i % questions] for i in range(len(lines) - 1)]


@pytest.fixture(scope="module")
def untaught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of random weights: it says nonsense, by the real code from end to end."""
    sentences = [f"The {thing} is {where}." for thing in ("book", "house", "tree") for where in ("here", "far", "new")]
    torch.manual_seed(1)
    tokenizer = Tokenizer.from_bytes(learn_tokenizer(sentences, vocab_size=26, languages=["de", "en"]))
    sizes = ModelConfig(vocab_size=26, embedding_size=8, encoder_size=8, decoder_size=16, decoder_layers=1)
    manifest = Manifest(name="untaught", model=sizes, languages=("de", "en"), directions=(("de", "en"), ("en", "de")))
    folder = tmp_path_factory.mktemp("models") / "untaught"
    save_checkpoint(folder, Checkpoint.of(manifest, TranslationModel(**asdict(sizes)), tokenizer), card="# Untaught\n")
    return folder


class TestRealTranslator:
    def test_neighbours_do_not_change_an_answer(self, untaught: Path) -> None:
        texts = [
            "The book is here.",
            "A tree.",
            "The house is far.\n\nThe tree is new.",
            "new " * 30,
            "Is it?",
        ]
        bodies = [{**STATION, "q": text} for text in texts]
        with running("-m", "carousel", "serve", "--model", str(untaught)) as server:
            alone = [server.client.post("/translate", json=body).json() for body in bodies]
            with ThreadPoolExecutor(len(bodies) * 3) as clients:
                together = clients.map(lambda body: server.client.post("/translate", json=body).json(), bodies * 3)
                assert list(together) == alone * 3


@pytest.fixture(params=["1", "2"], ids=["a thread", "two processes"])
def workers(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def processes_of(server: Server) -> list[int]:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return [int(number) for number in children.read_text().split()]


def runs(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@needs_model
class TestWorkerProcesses:
    def test_they_answer_as_the_thread_does_and_one_that_is_killed_is_replaced(self, server: Server) -> None:
        texts = (LONG, "Good morning!", "<b>Two</b> words", LONG + " " + LONG)
        bodies = [{**STATION, "q": text, "format": "html", "alternatives": 1} for text in texts]
        wanted = [server.client.post("/translate", json=body).json() for body in bodies]
        with running("-m", "carousel", "serve", "--workers", "2", "--threads", "2") as several:
            with ThreadPoolExecutor(len(bodies) * 3) as clients:
                found = clients.map(lambda body: several.client.post("/translate", json=body).json(), bodies * 3)
                assert list(found) == wanted * 3
            before = processes_of(several)
            assert len(before) == 2
            os.kill(before[0], signal.SIGKILL)
            answers = [several.client.post("/translate", json=body).json() for body in bodies]
            assert answers == wanted
            assert len(set(processes_of(several)) - set(before)) == 1
            assert several.stop() == 0

    def test_they_end_with_a_server_that_is_killed(self) -> None:
        with running("-m", "carousel", "serve", "--workers", "2") as server:
            workers = processes_of(server)
            assert len(workers) == 2
            server.process.kill()
            server.process.wait()
            end = time.monotonic() + START_SECONDS
            while any(map(runs, workers)) and time.monotonic() < end:
                time.sleep(0.01)
            assert not any(map(runs, workers))


class TestInFlight:
    def test_a_client_gone_in_mid_request_stops_its_work(self, workers: str) -> None:
        with slow_server("60", CAROUSEL_WORKERS=workers) as server:
            with socket.create_connection((server.client.base_url.host, server.client.base_url.port)) as client:
                client.sendall(BY_HAND)
                _read_until(server.process, "at it")
            _read_until(server.process, "stopped")
            assert server.client.get("/health").status_code == 200

    def test_sigterm_lets_a_request_finish_and_exits_with_0(self, workers: str) -> None:
        with slow_server("2", CAROUSEL_WORKERS=workers) as server, ThreadPoolExecutor(1) as client:
            answer = client.submit(server.client.post, "/translate", json=STATION)
            _read_until(server.process, "at it")
            for process in processes_of(server):
                os.kill(process, signal.SIGTERM)  # as an init system does, which tells all of a service's processes
            assert server.stop() == 0
            assert answer.result().json() == {"translatedText": "<de>Where is the train station?"}

    def test_what_is_not_done_in_time_is_cancelled_and_still_exits_with_0(self, workers: str) -> None:
        wishes = {"CAROUSEL_SHUTDOWN_SECONDS": "1", "CAROUSEL_WORKERS": workers}
        with slow_server("60", **wishes) as server, ThreadPoolExecutor(1) as client:
            answer = client.submit(server.client.post, "/translate", json=STATION)
            _read_until(server.process, "at it")
            assert server.stop() == 0
            refused = answer.result()
        assert (refused.status_code, list(refused.json())) == (503, ["error"])
        assert "stopped before the translation was done" in refused.json()["error"]

    def test_an_idle_server_stops(self, workers: str) -> None:
        with slow_server("0", CAROUSEL_WORKERS=workers) as server:
            assert server.stop() == 0

    def test_sigterm_while_the_model_loads_ends_at_once_with_0(self) -> None:
        with started("-c", SLOW_SERVER, LOAD_SECONDS="60") as process:
            _read_until(process, "loading")
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0


@needs_model
def test_a_model_that_is_altered_while_it_serves_changes_nothing_until_the_next_start(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(next(iter(pretrained_models().values())), folder)
    with running("-m", "carousel", "serve", "--model", str(folder)) as server:
        before = server.client.post("/translate", json=STATION).json()
        for file in folder.iterdir():
            with file.open("r+b") as stream:
                stream.truncate(100)
        assert server.client.post("/translate", json=STATION).json() == before
        shutil.rmtree(folder)
        assert server.client.post("/translate", json={**STATION, "q": "Good morning!"}).status_code == 200
        assert server.stop() == 0


def write_part_of_the_default(folder: Path, *languages: str) -> None:
    """Copies the default model as one that knows English and some of its other languages only."""
    shutil.copytree(pretrained_models()[DEFAULT_MODEL], folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    kept = [way for way in manifest["directions"] if {*way} <= {"en", *languages}]
    curves = [curve for curve in manifest["calibrations"] if [curve["source"], curve["target"]] in kept]
    changes = {"name": folder.name, "languages": sorted(["en", *languages]), "directions": kept, "calibrations": curves}
    (folder / "manifest.json").write_text(json.dumps(manifest | changes | {"scores": []}), encoding="utf-8")


@needs_model
def test_a_folder_of_models_is_served_together_and_a_text_may_go_through_two(tmp_path: Path) -> None:
    write_part_of_the_default(tmp_path / "models" / "german", "de")
    write_part_of_the_default(tmp_path / "models" / "romance", "es", "fr")
    settings = tmp_path / "carousel.toml"
    settings.write_text(f'model = "{tmp_path / "models"}"\nmodel_idle_seconds = 1000\n', encoding="utf-8")

    def models_of(server: Server, body: dict[str, str]) -> tuple[str, list[str]]:
        answer = server.client.post("/translate", json={**body, "signature": True}).json()
        return answer["translatedText"], [each["model"] for each in answer["signature"]]

    with running("-m", "carousel", "serve", "--settings", str(settings)) as server:
        listed = {entry["code"]: entry["targets"] for entry in server.client.get("/languages").json()}
        assert listed == {code: ["de", "en", "es", "fr"] for code in ("de", "en", "es", "fr")}
        assert models_of(server, STATION)[1] == ["german"]
        assert models_of(server, {"q": "Danke!", "source": "de", "target": "fr"})[1] == ["german", "romance"]
        page = {"q": "<p>Thank you!</p>", "source": "en", "target": "fr", "format": "html"}
        assert models_of(server, page) == ("<p>Merci !</p>", ["romance"])
        assert server.stop() == 0


def test_who_is_killed_while_making_keys_leaves_those_that_were_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'keys.db'}"
    make = (
        "import itertools, sys; from api.keys import KeyStore; store = KeyStore(sys.argv[1])\n"
        "for n in itertools.count(): print(store.create(str(n)), flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", make, url], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        shown = [process.stdout.readline().strip() for _ in range(20)]
        process.kill()
        shown += [line.strip() for line in process.stdout if line.endswith("\n")]
    store = KeyStore(url)
    assert all(store.find(key) for key in shown), "a key that was shown is kept"
    assert len(store.list()) - len(shown) in (0, 1), "at most one was kept and not shown any more"
    store.create("one more")


def test_on_a_full_disk_a_key_is_refused_in_a_sentence_and_those_there_are_stay(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'keys.db'}"
    key = KeyStore(url).create("phone")
    full = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"  # no file may grow: to SQLite a full disk
        "from carousel.__main__ import main; sys.argv = ['carousel', 'keys', 'create', 'laptop']; main()"
    )
    made = subprocess.run(
        [sys.executable, "-c", full],
        cwd=ROOT, env={**os.environ, "CAROUSEL_KEYS": url}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 2, made.stderr
    assert made.stdout == ""
    assert re.fullmatch(r"carousel: The database of keys at \S+ cannot be used: .*\n", made.stderr)
    assert KeyStore(url).find(key) is not None
    assert [each.name for each in KeyStore(url).list()] == ["phone"]


def test_a_missing_model_is_one_sentence(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "carousel", "serve", "--port", "0", "--model", str(tmp_path / "none")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )
    assert ended.returncode == 2
    assert re.fullmatch(r"carousel: There is no checkpoint .*\n", ended.stderr)


def test_a_port_in_use_is_said() -> None:
    with slow_server("0") as server:
        port = str(server.client.base_url.port)
        refusal = pytest.raises(pytest.fail.Exception, match="cannot be listened on: address already in use")
        with refusal, slow_server("0", CAROUSEL_PORT=port):
            pytest.fail("a second server on the same port")
