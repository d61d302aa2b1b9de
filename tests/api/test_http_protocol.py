"""What comes before the application: heads without end, what is no HTTP, and bodies, which may be long."""

import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from api.http_protocol import MOST_HEAD_BYTES
from tests.api.fakes import PATIENCE_SECONDS, FakeTranslator
from tests.api.live import listening

BODY = json.dumps({"q": "house", "source": "en", "target": "de"}).encode()
HEAD = b"POST /translate HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
LONG = b"a" * MOST_HEAD_BYTES


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with listening(FakeTranslator()) as found:
        parts = urlsplit(found)
        assert parts.hostname is not None and parts.port is not None
        yield parts.hostname, parts.port


def said(address: tuple[str, int], *parts: bytes) -> tuple[int, dict[str, str]]:
    """Sends the parts one by one; returns status and body of the first answer."""
    return next(answers(address, *parts))


def answers(address: tuple[str, int], *parts: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    """Sends the parts one by one; yields status and body of the answers as they come."""
    with socket.create_connection(address, timeout=PATIENCE_SECONDS) as client:
        for part in parts:
            client.sendall(part)
        with client.makefile("rb") as answer:
            while line := answer.readline():
                headers = dict(line.rstrip().lower().split(b": ", 1) for line in iter(answer.readline, b"\r\n"))
                assert len(headers[b"x-request-id"]) == 32
                yield int(line.split()[1]), json.loads(answer.read(int(headers[b"content-length"])))


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET /" + LONG, id="address"),
        pytest.param(b"GET /?" + LONG + b" HTTP/1.1\r\n\r\n", id="whole address"),
        pytest.param(b"GET / HTTP/1.1\r\nX-Name: " + LONG + b"\r\n\r\n", id="whole value"),
        pytest.param(b"GET / HTTP/1.1\r\nX-Name: " + LONG, id="value"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X-Name: aaaa\r\n" * (MOST_HEAD_BYTES // 14), id="many"),
    ],
)
def test_a_head_without_end_is_refused(address: tuple[str, int], head: bytes) -> None:
    status, body = said(address, head[:-100], head[-100:])
    assert status == 400
    assert f"larger than {MOST_HEAD_BYTES} bytes" in body["error"]


def test_headers_without_end_behind_a_body_end_the_connection(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=PATIENCE_SECONDS) as client:
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Name: ")
        with pytest.raises(ConnectionError):
            for _ in range(1000):  # 64 MB
                client.sendall(LONG)


def test_a_long_body_is_no_head(address: tuple[str, int]) -> None:
    body = BODY + b" " * (3 * MOST_HEAD_BYTES)
    head = HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode()
    assert said(address, head, body[:100], body[100:]) == (200, {"translatedText": "<de>house"})
    assert said(address, head + body) == (200, {"translatedText": "<de>house"})


def test_a_body_in_small_chunks_is_no_head(address: tuple[str, int]) -> None:
    chunks = b"".join(b"1\r\n%c\r\n" % each for each in BODY + b" " * MOST_HEAD_BYTES)
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    assert said(address, head, chunks, b"0\r\n\r\n") == (200, {"translatedText": "<de>house"})


@pytest.mark.parametrize("line", [b"house\r\n\r\n", b"FOO / HTTP/1.1\r\nHost: here\r\n\r\n"])
def test_what_is_no_http_is_refused_as_everything_is(address: tuple[str, int], line: bytes) -> None:
    assert said(address, line) == (400, {"error": "Invalid HTTP request received."})


@pytest.mark.parametrize("behind", [b"house\r\n\r\n", b"GET /?" + LONG + b" HTTP/1.1\r\n\r\n"])
def test_what_came_before_it_is_answered_first(address: tuple[str, int], behind: bytes) -> None:
    good = HEAD + f"Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
    found = list(answers(address, good + good + behind))
    assert [status for status, _ in found] == [200, 200, 400]
    assert found[0] == found[1] == (200, {"translatedText": "<de>house"})


def test_a_body_that_breaks_off_in_nonsense_is_refused_once(address: tuple[str, int]) -> None:
    broken = HEAD + b"Transfer-Encoding: chunked\r\n\r\nthis is no number\r\n"
    assert [status for status, _ in answers(address, broken)] == [400]


def test_behind_a_last_request_nothing_is_said(address: tuple[str, int]) -> None:
    last = HEAD + f"Connection: close\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY
    assert [status for status, _ in answers(address, last + b"house\r\n\r\n")] == [200]
