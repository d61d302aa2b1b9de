"""How early a stream says something: from the request to the first words and to the end, for sentences of forty words.

    carousel serve &
    python benchmarks/streaming.py http://127.0.0.1:8000 [--rounds 5]

The service is otherwise idle. "Within" is the share of the total time after which the first words were there.
"""

import argparse
import json
import time
from statistics import median
from typing import NamedTuple

import httpx

SENTENCES = (
    "When I came home yesterday evening, I saw that the window was open, and because I was sure that I had closed it "
    "in the morning, I was afraid that somebody had been in my house while I was at work.",
    "The police are looking for a man who is about forty years old, has short dark hair, wears a black jacket and "
    "blue jeans, and was last seen at the railway station on Tuesday evening with a large brown suitcase and a dog.",
    "If you want to learn a new language you should speak it every day and read books and listen to the radio and "
    "above all you should not be afraid of making mistakes because everybody makes mistakes and nobody will laugh.",
)
TARGETS = ("de", "fr", "es")


class Times(NamedTuple):
    """Seconds from the request to the first words and to the end."""

    first: float
    total: float


def main() -> None:
    """Streams every sentence into every language and shows a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("address", help="where the service answers, with the default model")
    parser.add_argument("--rounds", type=int, default=5, help="times each is asked (5)")
    options = parser.parse_args()
    print("| words | target | first words, ms | in all, ms | within |\n|---|---|---|---|---|")
    with httpx.Client(base_url=options.address, timeout=60) as client:
        stream(client, SENTENCES[0], TARGETS[0])  # warm
        for sentence in SENTENCES:
            for target in TARGETS:
                found = [stream(client, sentence, target) for _ in range(options.rounds)]
                first, total = (1000 * median(times) for times in zip(*found, strict=True))
                print(f"| {len(sentence.split())} | {target} | {first:.0f} | {total:.0f} | {first / total:.0%} |")


def stream(client: httpx.Client, sentence: str, target: str) -> Times:
    """Asks once.

    Raises:
        RuntimeError: The stream ended without words, or other than the answer in one piece.
    """
    asked = {"q": sentence, "source": "en", "target": target}
    started, first, said, event = time.monotonic(), None, "", ""
    with client.stream("POST", "/translate", json=asked | {"stream": True}) as answer:
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                event = value
            elif name == "data" and event == "text":
                said += json.loads(value)["delta"]
                first = first or (time.monotonic() - started if said else None)
            elif name == "data" and event == "done":
                total, whole = time.monotonic() - started, json.loads(value)["translatedText"]
    if first is None or whole != client.post("/translate", json=asked).json()["translatedText"]:
        raise RuntimeError(f"The stream of {sentence[:40]!r} said {said!r} and ended in {whole!r}.")
    return Times(first, total)


if __name__ == "__main__":
    main()
