"""Clients for `benchmarks/load.py`: a locustfile. Each asks again as soon as it is answered.

From the environment: LOAD_SOURCE, a file of sentences; LOAD_LONG, how often a text of many of them, in 1,000 requests.
"""

import os
import random
from pathlib import Path

from locust import FastHttpUser, constant, task

LONG_SENTENCES = 60

SENTENCES = Path(os.environ["LOAD_SOURCE"]).read_text(encoding="utf-8").split("\n")[:-1]
LONG_IN_1000 = int(os.environ["LOAD_LONG"])


class Client(FastHttpUser):  # type: ignore[misc]  # locust is not installed where types are checked
    """Sends mostly a sentence, now and then a page."""

    wait_time = constant(0)

    @task  # type: ignore[untyped-decorator]
    def translate(self) -> None:
        """Sends one text, and counts what is no translation as a failure."""
        long = random.randrange(1000) < LONG_IN_1000
        text = " ".join(random.sample(SENTENCES, LONG_SENTENCES)) if long else random.choice(SENTENCES)
        body = {"q": text, "source": "en", "target": "de"}
        name = "long" if long else "short"
        with self.client.post("/translate", json=body, name=name, catch_response=True) as response:
            if response.status_code != 200 or not response.json()["translatedText"]:
                response.failure(f"{response.status_code} {response.text[:200]}")
