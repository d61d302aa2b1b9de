"""Reading a request's parameters, however they were sent: JSON, urlencoded, multipart, or the query string.

LibreTranslate's rule: a JSON body is the whole truth; otherwise the query string and the form are merged.
One thing is added: `curl -d '{"q": ...}'` labels JSON as a urlencoded form, so a form whose text begins
with `{` is read as JSON.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

from api.errors import InvalidRequestError

SHORT_BYTES = 1 << 14  # of a form that is read in less time than it takes to hand it to a thread
MAX_FIELDS = 1000  # of a form; LibreTranslate knows eight

BROKEN_JSON = "The browser (or proxy) sent a request that this server could not understand."
NOT_AN_OBJECT = "Invalid JSON format"

URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


async def read_values(request: Request, *, max_body_bytes: int, lists: Collection[str] = ()) -> dict[str, object]:
    """Returns the parameters of a request by name; in a form, those of `lists` may be repeated, and are lists.

    Raises:
        InvalidRequestError: The body is broken, or a form has two of `q`.
        HTTPException: 413, the body is larger than `max_body_bytes`.
    """
    _refuse_long_body(request, max_body_bytes)
    limited = Request(request.scope, _limited(request.receive, max_body_bytes))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method == "GET" and not await limited.body():  # clients name a kind for the body they do not send
        kind = ""
    if kind == "application/json":
        return parse_json_object(await limited.body())
    if kind in ("", URLENCODED) and (await limited.body()).lstrip().startswith(b"{"):
        return parse_json_object(await limited.body())
    fields = parse_urlencoded(request.scope["query_string"])
    if kind == URLENCODED:
        body = await limited.body()
        if len(body) <= SHORT_BYTES:
            fields += parse_urlencoded(body)
        else:  # a megabyte of percent signs takes a tenth of a second
            fields += await asyncio.to_thread(parse_urlencoded, body)
    elif kind == MULTIPART:
        form = await limited.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=max_body_bytes)
        fields += [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    return _by_name(fields, lists)


def parse_json_object(body: bytes) -> dict[str, object]:
    """Returns the object that `body` holds.

    Raises:
        InvalidRequestError: It is not JSON, or not an object.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidRequestError(BROKEN_JSON) from None
    if not isinstance(value, dict):
        raise InvalidRequestError(NOT_AN_OBJECT)
    return value


def parse_urlencoded(body: bytes) -> list[tuple[str, str]]:
    """Returns the fields of a form in order; text that is UTF-8 without being percent-encoded is read too.

    Raises:
        InvalidRequestError: It is not UTF-8, or there are more than `MAX_FIELDS`.
    """
    try:
        return parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError:
        raise InvalidRequestError("Invalid request: the form is not UTF-8 text; send it encoded as UTF-8") from None
    except ValueError:
        raise InvalidRequestError(f"Too many fields. Maximum number of fields is {MAX_FIELDS}.") from None


def _by_name(fields: list[tuple[str, str]], lists: Collection[str]) -> dict[str, object]:
    """Merges fields; a second `q` is refused, because half of the request would be dropped in silence."""
    values: dict[str, object] = {
        name: found for name in lists if (found := [value for key, value in fields if key == name])
    }
    for name, value in fields:
        if name == "q" and "q" in values:
            raise InvalidRequestError("Invalid request: q parameter came more than once; send an array as JSON")
        values.setdefault(name, value)
    return values


def _refuse_long_body(request: Request, max_body_bytes: int) -> None:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_body_bytes:
        raise _too_large(max_body_bytes)


def _limited(receive: Receive, max_body_bytes: int) -> Receive:
    """Wraps an ASGI `receive` so that a body without (or with a false) Content-Length is bounded too."""
    received = 0

    async def receive_limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > max_body_bytes:
            raise _too_large(max_body_bytes)
        return message

    return receive_limited


def _too_large(max_body_bytes: int) -> HTTPException:
    return HTTPException(413, f"The request body is larger than {max_body_bytes} bytes; send less text at once")
