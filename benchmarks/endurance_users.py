"""Clients for `benchmarks/endurance.py`: a locustfile. Most ask what people ask; some do what nobody should.

Every answer is looked at: each text has one, it is the one that the same text had before, whoever else was there, and
what is refused is refused as documented. From the environment: LOAD_SOURCE, a file of sentences.
"""

import json
import os
import random
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from locust import FastHttpUser, between, events, task

SENTENCES = [each for each in Path(os.environ["LOAD_SOURCE"]).read_text(encoding="utf-8").split("\n") if each][:500]
PAGE_SENTENCES = 40
TOO_MANY_BYTES = 3_000_000  # the service reads 2.6 million
ANSWERS: dict[str, str] = {}
"""The first answer to each text."""


@events.request.add_listener  # type: ignore[untyped-decorator]
def tell(name: str, exception: Exception | None, **_: object) -> None:
    """Says what was wrong with a request, for `benchmarks.load.locust` to show."""
    if exception is not None:
        print(f"wrong: {name}: {exception}", file=sys.stderr)


def unlike_before(text: str, answer: object) -> str:
    """Says what is wrong with an answer; nothing if it is there and the same as before."""
    if not isinstance(answer, str) or not answer.strip():
        return f"no answer to {text!r}: {answer!r}"
    first = ANSWERS.setdefault(text, answer)
    return "" if answer == first else f"{text!r} was {first!r} and is now {answer!r}"


def body_of(text: str | list[str], **wishes: object) -> dict[str, object]:
    """Makes a body for LibreTranslate's route."""
    return {"q": text, "source": "en", "target": "de", **wishes}


class Client(FastHttpUser):  # type: ignore[misc]  # locust is not installed where types are checked
    """One of many; it thinks a moment between two requests."""

    wait_time = between(0, 0.2)

    @task(50)  # type: ignore[untyped-decorator]
    def sentence(self) -> None:
        """Asks for a sentence."""
        text = random.choice(SENTENCES)
        self._ask("a sentence", body_of(text), lambda found: unlike_before(text, found["translatedText"]))

    @task(10)  # type: ignore[untyped-decorator]
    def array(self) -> None:
        """Asks for many sentences at once."""
        texts = random.sample(SENTENCES, random.randrange(2, 20))

        def judge(found: dict[str, list[str]]) -> str:
            answers = found["translatedText"]
            if len(answers) != len(texts):
                return f"{len(texts)} texts and {len(answers)} answers"
            return "".join(map(unlike_before, texts, answers))

        self._ask("an array", body_of(texts), judge)

    @task(3)  # type: ignore[untyped-decorator]
    def page(self) -> None:
        """Asks for a long text, and for all that can be said of it."""
        text = "\n".join(random.sample(SENTENCES, PAGE_SENTENCES))

        def judge(found: dict[str, str]) -> str:
            lines = found["translatedText"].split("\n")
            if len(lines) != PAGE_SENTENCES or not found["alignment"] or not found["scores"]:
                return f"{len(lines)} lines of {PAGE_SENTENCES}"
            return ""

        self._ask("a page", body_of(text, alignment=True, scores=True, signature=True), judge)

    @task(5)  # type: ignore[untyped-decorator]
    def html(self) -> None:
        """Asks for markup."""
        text = f'<div class="a">{"".join(f"<p>{each}</p>" for each in random.sample(SENTENCES, 3))}<br></div>'

        def judge(found: dict[str, str]) -> str:
            answer = found["translatedText"]
            whole = answer.startswith('<div class="a"><p>') and answer.count("</p>") == 3 == answer.count("<p>")
            return "" if whole else f"broken markup: {answer!r}"

        self._ask("markup", body_of(text, format="html"), judge)

    @task(5)  # type: ignore[untyped-decorator]
    def deepl(self) -> None:
        """Asks as DeepL's clients do."""
        text = random.choice(SENTENCES)
        self._ask(
            "DeepL's way",
            {"text": [text], "source_lang": "EN", "target_lang": "DE"},
            lambda found: unlike_before(text, found["translations"][0]["text"]),
            path="/v2/translate",
        )

    @task(8)  # type: ignore[untyped-decorator]
    def stream(self) -> None:
        """Reads along."""
        text = " ".join(random.sample(SENTENCES, 3))
        with self.client.post(
            "/translate", json=body_of(text, stream=True), name="a stream", catch_response=True
        ) as response:
            events = [each.split("\ndata: ") for each in (response.text or "").strip().split("\n\n")]
            if response.status_code != 200 or events[-1][0] != "event: done":
                response.failure(f"{response.status_code} {(response.text or '')[-200:]}")
                return
            told = "".join(json.loads(data)["delta"] for _, data in events[:-1])
            final = json.loads(events[-1][1])["translatedText"]
            if not final.startswith(told) or (wrong := unlike_before(text, final)):
                response.failure(f"told {told!r}, then {final!r}" if not final.startswith(told) else wrong)

    @task(4)  # type: ignore[untyped-decorator]
    def slow_reader(self) -> None:
        """Asks for a page with all that can be said of it, and takes it in sips."""
        text = "\n".join(random.sample(SENTENCES, PAGE_SENTENCES))
        with self._connected("a slow reader", body_of(text, alignment=True, scores=True)) as connection:
            received = b""
            while chunk := connection.recv(4096):
                received += chunk
                time.sleep(0.05)
            head, _, content = received.partition(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200") or len(json.loads(content)["alignment"]) < PAGE_SENTENCES:
                raise ValueError(f"not a whole answer: {received[:200]!r}")

    @task(12)  # type: ignore[untyped-decorator]
    def leaver(self) -> None:
        """Asks for a page, and goes away before it is there."""
        text = "\n".join(random.sample(SENTENCES, PAGE_SENTENCES))
        with self._connected("leaves early", body_of(text, stream=random.random() < 0.5)):
            time.sleep(random.random() / 2)

    @task(2)  # type: ignore[untyped-decorator]
    def half_a_request(self) -> None:
        """Announces more than it sends, and goes away."""
        with self._connected("half a request", body_of("Hello"), announced=1000):
            time.sleep(random.random() / 2)

    @task(3)  # type: ignore[untyped-decorator]
    def oversized(self) -> None:
        """Sends more than is read."""
        self._refused("too large", 413, json.dumps(body_of("a " * (TOO_MANY_BYTES // 2))))

    @task(6)  # type: ignore[untyped-decorator]
    def malformed(self) -> None:
        """Sends what is no request."""
        broken = [
            '{"q": "a"',
            "[1, 2",
            '{"q": {}}',
            "\x00",
            '{"q": "a", "source": "en", "target": "xx"}',
            "[" * 100_000,
        ]
        self._refused("malformed", 400, random.choice(broken))

    def _ask(
        self,
        name: str,
        body: dict[str, object],
        judge: Callable[..., str],
        *,
        path: str = "/translate",
    ) -> None:
        with self.client.post(path, json=body, name=name, catch_response=True) as response:
            if response.status_code != 200:
                response.failure(f"{response.status_code} {(response.text or '')[:200]}")
            elif wrong := judge(response.json()):
                response.failure(wrong)

    def _refused(self, name: str, status: int, content: str) -> None:
        headers = {"Content-Type": "application/json"}
        with self.client.post(
            "/translate", data=content.encode(), headers=headers, name=name, catch_response=True
        ) as response:
            if response.status_code == status and "error" in response.json():
                response.success()
            else:
                response.failure(f"{response.status_code} {(response.text or '')[:200]}, wanted {status}")

    def _connected(self, name: str, body: dict[str, object], announced: int | None = None) -> "_Connection":
        return _Connection(self, name, json.dumps(body).encode(), announced)


class _Connection:
    """A connection by hand, that sends one request, and tells locust what became of it."""

    def __init__(self, user: Client, name: str, content: bytes, announced: int | None) -> None:
        self._user, self._name = user, name
        length = len(content) if announced is None else announced
        self._request = (
            f"POST /translate HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"Content-Length: {length}\r\n\r\n"
        ).encode() + content

    def __enter__(self) -> socket.socket:
        address = urlsplit(self._user.host)
        self._began = time.monotonic()
        self._socket = socket.create_connection((address.hostname or "", address.port or 80), timeout=60)
        self._socket.sendall(self._request)
        return self._socket

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        self._socket.close()
        self._user.environment.events.request.fire(
            request_type="POST",
            name=self._name,
            response_time=(time.monotonic() - self._began) * 1000,
            response_length=0,
            exception=error,
        )
        return isinstance(error, Exception)
