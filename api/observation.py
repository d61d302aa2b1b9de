"""What is noted of every request: an id, a line in the log, a figure. Never a text, a query string or a key.

The id is the client's own `X-Request-ID`, if it is one that a log can show, or a new one; it is in the answer and in
every line that is logged for the request.
"""

import logging
import re
import time
import uuid
from contextvars import ContextVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import Metrics

logger = logging.getLogger(__name__)

UNMATCHED = "unmatched"  # one name for every path that is not served: a scanner must not fill the registry
METHODS = frozenset(["GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"])
REQUEST_ID = "X-Request-ID"
PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")
SAFE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}  # also of answers that are no pages

request_id: ContextVar[str] = ContextVar("request_id", default="")


class Observation:
    """Notes every HTTP request.

    Args:
        app: What answers.
        metrics: Where requests are counted and timed.
        log: Whether each is a line in the log.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, log: bool) -> None:
        """Wraps `app`."""
        self._app, self._metrics, self._log = app, metrics, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers as `app` does."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, started = 500, time.perf_counter()
        asked = Headers(scope=scope).get(REQUEST_ID, "")
        mine = asked if PLAIN.fullmatch(asked) else uuid.uuid4().hex
        token = request_id.set(mine)

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in {**SAFE, REQUEST_ID: mine}.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            with self._metrics.in_progress.track_inprogress():
                await self._app(scope, receive, send_and_note)
        finally:
            self._note(scope, status, time.perf_counter() - started)
            request_id.reset(token)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        # The route is known only once the request has been through the router.
        route = getattr(scope.get("route"), "path", UNMATCHED)
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._metrics.requests.labels(method, route, str(status)).observe(seconds)
        if self._log:
            facts = {"method": method, "route": route, "status": status, "milliseconds": round(1000 * seconds, 1)}
            logger.info("%s %s %s in %.1f ms", *facts.values(), extra=facts)


class RequestIdFilter(logging.Filter):
    """Puts the id of the request that is being answered on every record, also as it is shown in a line of text."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets every record pass."""
        mine = request_id.get()
        vars(record).update(request_id=mine, request=f" [{mine}]" if mine else "")
        return True
