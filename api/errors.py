"""The service's own errors, and how every error becomes a status and a body of `{"error": "..."}`.

Below /v2, where DeepL's clients ask, the body is `{"message": "..."}`. The sentences are LibreTranslate's where it has
one, so that its clients recognise them. Nothing that failed is answered with 200, and no trace leaves the server: what
nobody foresaw is logged and answered with one sentence.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from translator.errors import InputError, LanguageError

logger = logging.getLogger(__name__)

CLIENT_CLOSED_REQUEST = 499  # nobody is there to read it; nginx's number, for logs
_REFLECTED_CHARACTERS = 100  # how much of a client's own text an error repeats

Handler = Callable[[Request, Exception], Awaitable[Response]]


class InvalidRequestError(Exception):
    """The request cannot be taken as it came; the sentence goes to the client with status 400."""


class BusyError(Exception):
    """The service has more work than it can finish in time.

    Args:
        message: What happened, for a person.
        retry_after_seconds: When a second attempt makes sense.
    """

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        """Makes the error."""
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class DeadlineError(Exception):
    """The translation did not end in time."""


class InvalidKeyError(Exception):
    """The key that came is none of the service's."""

    def __init__(self) -> None:
        """Makes the error; its sentence is LibreTranslate's."""
        super().__init__("Invalid API key")


class MissingKeyError(Exception):
    """No key came, and the service asks for one."""

    def __init__(self) -> None:
        """Makes the error; its sentence is LibreTranslate's."""
        super().__init__("Please contact the server operator to get an API key")


class UnreachableError(Exception):
    """What keeps keys, or counts requests, does not answer at the moment; the cause is chained."""


class SlowDownError(Exception):
    """A client asked more often than it may.

    Args:
        limit: What it may, such as "60 per 1 minute".
        retry_after_seconds: When the next request is taken.
    """

    def __init__(self, limit: str, *, retry_after_seconds: int) -> None:
        """Makes the error; its sentence is LibreTranslate's."""
        super().__init__(f"Slowdown: {limit}")
        self.retry_after_seconds = retry_after_seconds


class TranslationFailedError(Exception):
    """The translator broke on a request for a reason nobody foresaw; the cause is chained."""


class ClientGoneError(Exception):
    """The client closed the connection before its answer was ready."""


def install_error_handlers(app: FastAPI) -> None:
    """Makes every error of `app` answer with a JSON body."""
    handlers: dict[type[Exception], Handler] = {
        InvalidRequestError: _bad_request,
        LanguageError: _bad_request,
        InputError: _bad_request,
        RequestValidationError: _bad_request,
        TranslationFailedError: _unforeseen,
        Exception: _unforeseen,
        BusyError: _busy,
        InvalidKeyError: _forbidden,
        MissingKeyError: _key_needed,
        UnreachableError: _unreachable,
        SlowDownError: _slow_down,
        DeadlineError: _deadline,
        HTTPException: _http,
        ClientGoneError: _nobody_there,
        ClientDisconnect: _nobody_there,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _bad_request(request: Request, error: Exception) -> Response:
    return error_response(400, str(error), request=request)


async def _unforeseen(request: Request, error: Exception) -> Response:
    return error_response(500, tell_apart(error, request), request=request)


async def _busy(request: Request, error: Exception) -> Response:
    seconds = error.retry_after_seconds if isinstance(error, BusyError) else 1
    return error_response(503, str(error), headers={"Retry-After": str(seconds)}, request=request)


async def _forbidden(request: Request, error: Exception) -> Response:
    return error_response(403, str(error), request=request)


async def _key_needed(request: Request, error: Exception) -> Response:
    # LibreTranslate says 400, DeepL's clients know what a 403 means.
    return error_response(403 if _is_deepl(request) else 400, str(error), request=request)


async def _unreachable(request: Request, error: Exception) -> Response:
    logger.error("%s", error.__cause__ or error)
    return error_response(503, str(error), headers={"Retry-After": "5"}, request=request)


async def _slow_down(request: Request, error: Exception) -> Response:
    seconds = error.retry_after_seconds if isinstance(error, SlowDownError) else 1
    return error_response(429, str(error), headers={"Retry-After": str(seconds)}, request=request)


async def _deadline(request: Request, error: Exception) -> Response:
    return error_response(504, str(error), headers={"Retry-After": "5"}, request=request)


async def _nobody_there(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)


async def _stopping(request: Request) -> Response:
    message = "The server stopped before the translation was done; try again in a moment"
    return error_response(503, message, headers={"Retry-After": "5"}, request=request)


async def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return await _unforeseen(request, error)
    headers = dict(error.headers or {})
    if headers.get("Allow") == "GET":  # what `api.head` answers as well
        headers["Allow"] = "GET, HEAD"
    if error.status_code == 405 and request.method == "OPTIONS":  # no failure: Allow is what was asked for
        return Response(headers=headers)
    path = request.url.path[:_REFLECTED_CHARACTERS]
    sentences = {
        404: f"{path} is not served here; /docs lists what is",
        405: f"{request.method} is not allowed for {path}; /docs says what is",
    }
    message = sentences.get(error.status_code, error.detail)
    return error_response(error.status_code, message, headers=headers, request=request)


class LastResort:
    """Answers what no handler knew, inside of the middleware that notes requests and opens them to other pages.

    Starlette's own last handler lies outside of all: its answers have no id and can be read by no page.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wraps `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers as `app` does; what it raises before an answer has begun is a 500, its end by force a 503."""
        begun = False

        async def send_and_note(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except (Exception, asyncio.CancelledError) as error:
            if begun or scope["type"] != "http":
                raise
            request = Request(scope)
            answer = _stopping(request) if isinstance(error, asyncio.CancelledError) else _unforeseen(request, error)
            await (await answer)(scope, receive, send)


def tell_apart(error: Exception, request: Request) -> str:
    """Returns what a client is told of an error: its sentence if it was foreseen, else that the log says more."""
    if isinstance(error, (InvalidRequestError, BusyError, DeadlineError, InputError, LanguageError)):
        return str(error)
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return "The translation failed; the server's log says why."


def error_response(
    status: int, message: str, *, headers: Mapping[str, str] | None = None, request: Request | None = None
) -> Response:
    """Returns the one shape in which this service reports an error; below /v2 it has DeepL's name."""
    name = "message" if request is not None and _is_deepl(request) else "error"
    return JSONResponse({name: message}, status_code=status, headers=dict(headers or {}))


def _is_deepl(request: Request) -> bool:
    return str(request.scope["path"]).startswith("/v2/")
