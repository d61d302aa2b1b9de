"""One translation as server-sent events: what is certain of it as it settles, then the whole answer.

    event: text    data: {"delta": "Wo ist ", "done": 0, "total": 2}
    event: done    data: the body that the request would have got without `stream`
    event: error   data: {"error": "a sentence"}

The deltas, put together, begin the text of `done`. An error after the first event can no longer be a status.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from fastapi import Request
from fastapi.sse import EventSourceResponse, format_sse_event

from api.answers import Answer, Signatures, blank_as_nothing, respond
from api.errors import tell_apart
from api.jobs import Partial
from api.schemas import TranslateRequest

HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # a proxy that gathers would undo the stream


def streamed(
    told: AsyncGenerator[Partial | Answer], *, request: Request, wanted: TranslateRequest, signatures: Signatures
) -> EventSourceResponse:
    """Returns the response; the client going away closes `told`."""
    return EventSourceResponse(_events(told, request, wanted, signatures), headers=HEADERS)


def event_stream() -> dict[str, Any]:
    """Returns the OpenAPI response of a stream, beside that in JSON."""
    schema = {
        "description": "One event; `text` any number of times, then `done` or `error`.",
        "type": "object",
        "properties": {
            "event": {"enum": ["text", "done", "error"]},
            "data": {"type": "string", "contentMediaType": "application/json"},
        },
        "required": ["event", "data"],
    }
    return {"content": {EventSourceResponse.media_type: {"schema": schema}}}


async def _events(
    told: AsyncGenerator[Partial | Answer], request: Request, wanted: TranslateRequest, signatures: Signatures
) -> AsyncIterator[bytes]:
    sent = 0
    try:
        async with aclosing(told):
            async for each in told:
                if isinstance(each, Partial):
                    word = {"delta": each.text[sent:], "done": each.done, "total": each.total}
                    yield format_sse_event(event="text", data_str=json.dumps(word))
                    sent = len(each.text)
                else:
                    yield format_sse_event(
                        event="done", data_str=await asyncio.to_thread(_body, wanted, each, signatures)
                    )
    except Exception as error:
        yield format_sse_event(event="error", data_str=json.dumps({"error": tell_apart(error, request)}))


def _body(wanted: TranslateRequest, answer: Answer, signatures: Signatures) -> str:
    return respond(wanted, [blank_as_nothing(answer)], signatures).model_dump_json(exclude_unset=True)
