"""A service under people who behave and people who do not, for minutes: what they get, and what it takes.

    python -m benchmarks.endurance --source SENTENCES [--clients 64] [--minutes 10] [--workers 1] [--plain]
        [--locust PYTHON]

Sentences, arrays, pages, markup, streams and DeepL's requests, and among them clients that leave, that send half a
request, that read slowly, that send too much or nonsense (`endurance_users.py`). Every answer is looked at. Says for
each kind the 50th, 95th and 99th percentile of its time in milliseconds; how often the service answered with which
status; and the memory that all its processes held, what they share counted once. Exits with 1 if an answer was missing
or wrong, or a status above 499 was sent. With `--plain` there are single sentences alone, which are not looked at.
"""

import argparse
import re
import sys
import threading
import time
import urllib.request
from pathlib import Path

from benchmarks.load import QUANTILES, Server, locust, quantile, running

SAMPLE_SECONDS = 5
WARM_SECONDS = 60  # in which buffers grow to what the load takes


def main() -> None:
    """Loads the service, and shows what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--source", type=Path, required=True, help="English sentences, one a line")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--workers", type=int, default=1, help="of the service")
    parser.add_argument("--plain", action="store_true", help="single sentences alone, as many as can be asked for")
    parser.add_argument("--locust", default=sys.executable, metavar="PYTHON", help="of an environment that has locust")
    options = parser.parse_args()
    with running(["-m", "carousel", "serve", "--workers", str(options.workers)]) as server:
        watch = MemoryWatch(server.pid)
        try:
            found = locust(
                options.locust,
                "load_users.py" if options.plain else "endurance_users.py",
                server.address,
                clients=options.clients,
                seconds=round(options.minutes * 60),
                environment={"LOAD_SOURCE": str(options.source.resolve()), "LOAD_LONG": "0"},
            )
        finally:
            resident = watch.stop()
        statuses = count_statuses(server)
    print("| kind | requests | median, ms | p95 | p99 | wrong |\n|---|---|---|---|---|---|")
    for name, each in sorted(found.items(), key=lambda item: -item[1]["num_requests"]):
        times = [f"{quantile(each['response_times'], share):.0f}" for share in QUANTILES]
        print("| " + " | ".join([name, str(each["num_requests"]), *times, str(each["num_failures"])]) + " |")
    requests = sum(each["num_requests"] for each in found.values())
    print(f"\n{requests} requests, {requests / options.minutes / 60:.1f} a second; statuses sent: {statuses}")
    warm = resident[int(WARM_SECONDS / SAMPLE_SECONDS) :] or resident
    half = len(warm) // 2
    print(
        f"resident memory in MB: {resident[0]} at the start, {min(warm)} to {max(warm)} after the first minute, "
        f"on average {mean(warm[:half])} in the first half of that and {mean(warm[half:])} in the second"
    )
    wrong = sum(each["num_failures"] for each in found.values())
    broken = sum(count for status, count in statuses.items() if status >= "5")
    raise SystemExit(1 if wrong or broken else 0)


class MemoryWatch:
    """Looks every few seconds how much memory a process and its children hold; what they share is counted once."""

    def __init__(self, pid: int) -> None:
        """Begins to look."""
        self._pid, self._samples = pid, list[int]()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def stop(self) -> list[int]:
        """Looks no more; returns what was seen, in megabytes."""
        self._ended.set()
        self._thread.join()
        return self._samples

    def _look(self) -> None:
        while True:
            children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text(encoding="utf-8").split()
            self._samples.append(round(sum(map(_held, (self._pid, *map(int, children)))) / 1000))
            if self._ended.wait(SAMPLE_SECONDS):
                return


def _held(pid: int) -> int:
    """Kilobytes of a process, of pages that several share its part."""
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8"), re.M)
    except OSError:  # it has ended meanwhile
        return 0
    return int(found[1]) if found else 0


def count_statuses(server: Server) -> dict[str, int]:
    """Asks the service how often it answered with which status."""
    time.sleep(1)  # those that have just left are counted too
    with urllib.request.urlopen(f"{server.address}/metrics", timeout=10) as page:
        lines = page.read().decode()
    counts: dict[str, int] = {}
    for status, count in re.findall(r'carousel_request_seconds_count\{[^}]*status="(\w+)"\} ([\d.]+)', lines):
        counts[status] = counts.get(status, 0) + int(float(count))
    return dict(sorted(counts.items()))


def mean(values: list[int]) -> int:
    """Returns the mean of some whole numbers, as a whole number."""
    return round(sum(values) / max(1, len(values)))


if __name__ == "__main__":
    main()
