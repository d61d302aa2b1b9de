"""Runs an application with uvicorn, and says where it answers. What SIGTERM means is settled in `api.app.serve`."""

import contextlib
import json
import logging
import os
import socket

import uvicorn
from fastapi import FastAPI

from api.http_protocol import BoundedProtocol
from api.languages import Languages
from api.settings import Settings
from translator.errors import ConfigError

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 75
"""How long a connection may be idle: longer than clients and proxies keep theirs (nginx: 60), so that it is they who
close it. Where the server does, a request that was sent in that moment has no answer; uvicorn's own 5 seconds made it
two of a hundred thousand."""


def run(app: FastAPI, settings: Settings) -> None:
    """Serves `app` until SIGTERM or Ctrl+C; what is in flight has `settings.shutdown_seconds` to finish.

    Raises:
        ConfigError: The address cannot be listened on.
        SystemExit: The application did not start.
    """
    sockets = _bound(settings.host, settings.port)
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        host=settings.host,
        port=settings.port,
        log_config=_log_config(settings.log_level, settings.log_format),
        log_level=settings.log_level,
        access_log=False,  # uvicorn's shows query strings, in which there may be a text; api.observation has ours
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    with contextlib.suppress(KeyboardInterrupt):
        AnnouncingServer(config, app).run(sockets=sockets)


class AnnouncingServer(uvicorn.Server):
    """A uvicorn server that says, once it answers, where, and what to type."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        """Makes a server of `app`, not started."""
        super().__init__(config)
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to listen, then logs the address and a command that works."""
        await super().startup(sockets)
        if self.started and self.servers:
            port = self.servers[0].sockets[0].getsockname()[1]
            address = f"http://{reachable(self.config.host)}:{port}"
            logger.info(
                "Carousel answers at %s; try\n\n  %s\n",
                address,
                curl_line(address, self._app.state.languages),
            )


def _bound(host: str, port: int) -> list[socket.socket]:
    """Returns a socket for each address that `host` stands for, as uvicorn makes them, but refuses in a sentence."""
    bound: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                bound.append(socket.socket(family, kind, protocol))
            except OSError:  # a name may stand for an address of a family that the kernel lacks
                continue
            if os.name == "posix":
                bound[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound[-1].bind(address)
        if not bound:
            raise OSError("this machine lacks its kind of address")
    except (OSError, OverflowError, UnicodeError) as error:
        for each in bound:
            each.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"{host or 'every address'}, port {port} cannot be listened on: {reason.lower()}; choose another with "
            "--port and --host, or CAROUSEL_PORT and CAROUSEL_HOST."
        ) from None
    return bound


def curl_line(address: str, languages: Languages) -> str:
    """Returns a command that translates a sentence with the model that is loaded."""
    body = json.dumps(languages.example(), ensure_ascii=False, separators=(",", ":"))
    return f"curl -d '{body}' -H 'Content-Type: application/json' {address}/translate"


def reachable(host: str) -> str:
    """Returns a host to type for one to listen on: every network includes this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def _log_config(level: str, form: str) -> dict[str, object]:
    """Returns a logging configuration: uvicorn's loggers and this package's on stderr, as text or as JSON."""
    formatters: dict[str, dict[str, object]] = {
        "text": {"()": "uvicorn.logging.DefaultFormatter", "fmt": "%(levelprefix)s %(message)s%(request)s"},
        "json": {"()": _json_lines},
    }
    ours = {"handlers": ["stderr"], "level": level.upper(), "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request": {"()": "api.observation.RequestIdFilter"}},
        "formatters": {form: formatters[form]},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": form, "filters": ["request"]}},
        "loggers": {"uvicorn": ours, "api": ours, "translator": ours},
    }


def _json_lines() -> logging.Formatter:
    from pythonjsonlogger.core import RESERVED_ATTRS
    from pythonjsonlogger.json import JsonFormatter

    return JsonFormatter(
        "%(levelname)s %(name)s %(message)s %(request_id)s",
        rename_fields={"levelname": "level", "name": "logger"},
        reserved_attrs=[*RESERVED_ATTRS, "request", "color_message"],
        timestamp="time",
    )
