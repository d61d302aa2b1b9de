"""How bytes become requests: uvicorn's protocol on httptools, held to a bound and to this service's way of refusing.

httptools reads in C, and remembers as much of a head as anybody sends.
"""

import json
import uuid

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.observation import REQUEST_ID

MOST_HEAD_BYTES = 1 << 16
"""Of a request line with its headers, and of what follows a body in chunks: as much as h11 takes."""

TOO_LARGE = f"The head of the request is larger than {MOST_HEAD_BYTES} bytes; send text in the body"


class BoundedProtocol(HttpToolsProtocol):
    """One connection; uvicorn makes it, see `uvicorn.Config(http=...)`."""

    _head_bytes = 0  # that have come since the last of a body
    _got_on = False  # whether a head, a message or a part of a body has ended in what came last
    _too_large = False  # whether that is why the parser was stopped
    _refusal = ""  # what is said when all that came before is answered; nothing is read any more

    def data_received(self, data: bytes) -> None:
        """Takes what has come; a head without end is refused and the connection closed."""
        if self._refusal:
            return
        self._got_on = False
        super().data_received(data)
        self._head_bytes = 0 if self._got_on else self._head_bytes + len(data)
        if self._head_bytes > MOST_HEAD_BYTES and not self._refusal:
            self.send_400_response(TOO_LARGE)

    def on_headers_complete(self) -> None:
        """The head has ended."""
        self._got_on = True
        self._too_large = len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MOST_HEAD_BYTES
        if self._too_large:
            raise ValueError(TOO_LARGE)  # which ends the parsing
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body has come."""
        self._got_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request has ended."""
        self._got_on = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request is answered; after the last one, what came behind it is refused."""
        super().on_response_complete()
        if self._refusal and self.cycle.response_complete and not self.transport.is_closing():
            self._refuse()

    def send_400_response(self, msg: str) -> None:
        """Refuses what is no request, and closes the connection: the answers to those before it come first."""
        self._refusal = TOO_LARGE if self._too_large else msg
        whole = self.cycle is not None and not self.cycle.more_body
        if not whole or self.cycle.response_complete:
            self._refuse()

    def _refuse(self) -> None:
        body = json.dumps({"error": self._refusal}).encode()
        head = (
            f"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"{REQUEST_ID.lower()}: {uuid.uuid4().hex}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
