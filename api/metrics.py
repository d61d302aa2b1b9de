"""What an operator watches: requests, their time, what is in flight, how full a step is. Never a text or an address.

Each application has a registry of its own, so that two in one process, or in one test, do not count together.
"""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UNMATCHED = "unmatched"  # one name for every path that is not served: a scanner must not fill the registry
METHODS = frozenset(["GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"])
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

    def page(self) -> bytes:
        """Returns all of them in Prometheus' text format."""
        return generate_latest(self.registry)


class MetricsMiddleware:
    """Times every HTTP request.

    Args:
        app: What answers.
        metrics: Where it is counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Wraps `app`."""
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers as `app` does, and counts."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, started = 500, time.perf_counter()

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._metrics.in_progress.track_inprogress():
            try:
                await self._app(scope, receive, send_and_note)
            finally:
                # The route is known only once the request has been through the router.
                route = getattr(scope.get("route"), "path", UNMATCHED)
                method = scope["method"] if scope["method"] in METHODS else "other"
                self._metrics.requests.labels(method, route, str(status)).observe(time.perf_counter() - started)
