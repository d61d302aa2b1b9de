"""How bytes become requests: uvicorn's protocol on httptools, held to a bound and to this service's way of refusing.

httptools reads in C, and remembers as much of a head as anybody sends.
"""

import json

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 1 << 16
"""Of a request line with its headers, and of what follows a body in chunks: as much as h11 takes."""

TOO_LARGE = f"The head of the request is larger than {MOST_HEAD_BYTES} bytes; send text in the body"


class BoundedProtocol(HttpToolsProtocol):
    """One connection; uvicorn makes it, see `uvicorn.Config(http=...)`."""

    _head_bytes = 0  # that have come since the last of a body
    _got_on = False  # whether a head, a message or a part of a body has ended in what came last

    def data_received(self, data: bytes) -> None:
        """Takes what has come; a head without end is refused and the connection closed."""
        self._got_on = False
        super().data_received(data)
        self._head_bytes = 0 if self._got_on else self._head_bytes + len(data)
        if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(TOO_LARGE)

    def on_headers_complete(self) -> None:
        """The head has ended."""
        self._got_on = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body has come."""
        self._got_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request has ended."""
        self._got_on = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuses what is no request, in the shape of this service's errors, and closes the connection."""
        body = json.dumps({"error": msg}).encode()
        head = (
            f"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
