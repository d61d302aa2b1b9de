"""The service listening on a port of this machine, for clients that speak to nothing else."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from api.app import create_app
from api.http_protocol import BoundedProtocol
from api.settings import Settings
from tests.api.fakes import PATIENCE_SECONDS, FakeTranslator


@contextmanager
def listening(translator: FakeTranslator, settings: Settings | None = None) -> Iterator[str]:
    """Yields the address, without a slash at its end."""
    with socket.create_server(("127.0.0.1", 0)) as port:
        app = create_app(settings or Settings(), translator)
        server = uvicorn.Server(uvicorn.Config(app, http=BoundedProtocol, log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [port]})
        thread.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.started
        yield f"http://127.0.0.1:{port.getsockname()[1]}"
        server.should_exit = True
        thread.join(PATIENCE_SECONDS)
