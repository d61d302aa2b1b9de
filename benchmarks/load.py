"""Many clients at once: the service beside a server that answers one request after the other, in one run.

    python benchmarks/load.py --source SENTENCES [--clients 1 8 64 256] [--seconds 20] [--long 10] [--workers 1 2]
        [--locust PYTHON]

For each number of clients, with single sentences alone and with a long text (60 sentences) now and then: sentences a
second, and the 50th, 95th and 99th percentile of the single sentences' time in milliseconds. locust makes the load; it
is no part of this project's installation (`pip install locust` in an environment of its own, whose Python is given) and
shares the processor with the server.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
LONG_SENTENCES = 60  # as in load_users.py
START_SECONDS = 60
QUANTILES = (0.5, 0.95, 0.99)


def main() -> None:
    """Runs every combination and shows a table."""
    options = read_options()
    carousel = ["-m", "carousel", "serve", "--workers"]
    servers = {f"Carousel, workers {count}": [*carousel, str(count)] for count in options.workers}
    servers["one by one"] = [str(HERE / "naive_server.py")]
    print(
        "| clients | long texts in 1,000 | server | sentences/s | median, ms | p95 | p99 | long, median, s | failures |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for clients in options.clients:
        for long in dict.fromkeys((0, options.long)):
            for name, command in servers.items():
                with running(command) as server:
                    load(options, server, clients=1, long=0, seconds=3)  # warm
                    found = load(options, server, clients=clients, long=long, seconds=options.seconds)
                print(f"| {clients} | {long} | {name} | {row(found)} |", flush=True)


def read_options() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--source", type=Path, required=True, help="English sentences, one a line")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64, 256])
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--long", type=int, default=10, metavar="N", help="long texts in 1,000 requests")
    parser.add_argument("--workers", type=int, nargs="+", default=[1], help="of the service, a server for each number")
    parser.add_argument("--locust", default=sys.executable, metavar="PYTHON", help="of an environment that has locust")
    return parser.parse_args()


class Server(NamedTuple):
    """A server that answers, and its process."""

    address: str
    pid: int


@contextmanager
def running(command: Sequence[str]) -> Iterator[Server]:
    """Starts a server on a free port, waits until it is healthy, and ends it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    arguments = [*command, port] if command[-1].endswith(".py") else list(command)
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, "CAROUSEL_PORT": port, "PYTHONPATH": str(HERE.parent)},
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_healthy(address)
        yield Server(address, process.pid)
    finally:
        process.terminate()
        process.wait(30)


def wait_until_healthy(address: str) -> None:
    """Returns once the server answers."""
    for _ in range(START_SECONDS * 10):
        try:
            urllib.request.urlopen(f"{address}/health", timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"The server at {address} was not healthy within {START_SECONDS} seconds.")


def load(options: argparse.Namespace, server: Server, *, clients: int, long: int, seconds: int) -> dict[str, Any]:
    """Lets clients ask for some seconds; returns locust's figures by the kind of text."""
    return locust(
        options.locust,
        "load_users.py",
        server.address,
        clients=clients,
        seconds=seconds,
        environment={"LOAD_SOURCE": str(options.source.resolve()), "LOAD_LONG": str(long)},
    )


def locust(
    python: str, users: str, address: str, *, clients: int, seconds: int, environment: Mapping[str, str]
) -> dict[str, Any]:
    """Lets the clients of a locustfile loose on a server; returns locust's figures by the name of the request."""
    done = subprocess.run(
        [
            python, "-m", "locust", "--locustfile", str(HERE / users), "--headless", "--json", "--host", address,
            "--users", str(clients), "--spawn-rate", str(clients), "--run-time", f"{seconds}s", "--stop-timeout", "60",
        ],
        env={**os.environ, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    print(*(line for line in done.stderr.splitlines() if line.startswith("wrong: ")), sep="\n", end="", file=sys.stderr)
    try:
        return {each["name"]: each for each in json.loads(done.stdout[done.stdout.index("[") :])}
    except ValueError:
        raise SystemExit(f"locust gave no figures:\n{done.stderr[-2000:]}") from None


def row(found: dict[str, Any]) -> str:
    """Makes the cells of one line; the time is that from the first request to the end of the last."""
    nothing = {"num_requests": 0, "num_failures": 0, "response_times": {}}
    short, long = found.get("short", nothing), found.get("long", nothing)
    answered = [each["num_requests"] - each["num_failures"] for each in (short, long)]
    sentences = answered[0] + LONG_SENTENCES * answered[1]
    seconds = max(each["last_request_timestamp"] for each in found.values()) - min(
        each["start_time"] for each in found.values()
    )
    times = [f"{quantile(short['response_times'], share):.0f}" for share in QUANTILES]
    of_long = f"{quantile(long['response_times'], 0.5) / 1000:.1f}" if long["num_requests"] else ""
    failures = short["num_failures"] + long["num_failures"]
    return " | ".join([f"{sentences / seconds:.0f}", *times, of_long, str(failures)])


def quantile(counts: dict[str, int], share: float) -> float:
    """Returns the time that `share` of the requests did not exceed; counts are by milliseconds."""
    reached, wanted = 0, share * sum(counts.values())
    for time_taken, count in sorted((float(key), value) for key, value in counts.items()):
        reached += count
        if reached >= wanted:
            return time_taken
    return float("nan")


if __name__ == "__main__":
    main()
