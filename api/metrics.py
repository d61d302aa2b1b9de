"""What an operator watches: requests, their time, what is in flight, how full a step is. Never a text or an address.

Each application has a registry of its own, so that two in one process, or in one test, do not count together.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120)
SENTENCES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The figures of one application; each field says what it counts."""

    def __init__(self) -> None:
        """Begins at nothing."""
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "carousel_request_seconds",
            "Time from a request's head to the end of its answer.",
            ["method", "route", "status"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.in_progress = Gauge(
            "carousel_requests_in_progress", "Requests that are being answered.", registry=self.registry
        )
        self.in_flight = Gauge(
            "carousel_characters_in_flight",
            "Characters of the requests that wait for an answer.",
            registry=self.registry,
        )
        self.sentences = Histogram(
            "carousel_step_sentences",
            "Sentences that were searched together, counted at every step.",
            buckets=SENTENCES,
            registry=self.registry,
        )
        self.characters = Counter(
            "carousel_translated_characters", "Characters of the texts that were translated.", registry=self.registry
        )
        self.tokens = Counter(
            "carousel_written_tokens", "Tokens of the translations that were written.", registry=self.registry
        )
        self.lost_workers = Counter(
            "carousel_lost_workers", "Worker processes that died and were replaced.", registry=self.registry
        )

    def page(self) -> bytes:
        """Returns all of them in Prometheus' text format."""
        return generate_latest(self.registry)
