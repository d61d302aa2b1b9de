"""The factory of the application: settings in, FastAPI out. Importing it loads neither torch nor a model."""

import gc
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import FrameType
from typing import TYPE_CHECKING

from fastapi import FastAPI

from api.admission import Admission
from api.answers import sign
from api.batching import Batcher
from api.cors import CorsMiddleware
from api.detection import LanguageDetector
from api.errors import LastResort, install_error_handlers
from api.head import HeadRequests
from api.languages import Languages
from api.metrics import Metrics
from api.observation import Observation
from api.routes import ROUTERS
from api.settings import Settings, load_settings
from api.text_translator import TextTranslator
from translator.processes import check_fork
from translator.threads import set_thread_count, threads_to_share
from translator.waiting import wait_briefly

if TYPE_CHECKING:
    from translator.model_pool import ModelPool

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

PREFLIGHT_SECONDS = 1_728_000  # 20 days, as LibreTranslate

DESCRIPTION = """A self-hosted translator that answers LibreTranslate's requests, and DeepL's below `/v2`.

Every error has the body `{"error": "..."}`, a sentence for a person; below `/v2` it is `{"message": "..."}`."""


def create_app(settings: Settings | None = None, translator: TextTranslator | None = None) -> FastAPI:
    """Makes the application.

    Args:
        settings: Where and how it runs; None reads the environment.
        translator: What translates; None opens `settings.model` when the application starts. With several workers it
            must have been opened as `open_models` does.

    Returns:
        An ASGI application; requests are answered once its lifespan has begun, when the model is loaded.

    Raises:
        ConfigError: The keys or the rate limit cannot be kept as the settings say.
    """
    settings = settings or load_settings()
    app = FastAPI(
        title="Carousel",
        description=DESCRIPTION,
        lifespan=_lifespan(settings, translator),
        docs_url=None,  # api.routes.page has its own, without another host
        redoc_url=None,
        redirect_slashes=False,  # a redirected POST may arrive as a GET, or at the address behind a proxy
    )
    app.state.settings, app.state.metrics = settings, Metrics()
    app.state.admission = open_admission(settings)
    for router in ROUTERS:
        app.include_router(router)
    install_error_handlers(app)
    app.add_middleware(LastResort)
    app.add_middleware(HeadRequests)
    app.add_middleware(
        CorsMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type"],
        expose_headers=["Retry-After", "X-Request-ID"],
        max_age=PREFLIGHT_SECONDS,
    )
    app.add_middleware(Observation, metrics=app.state.metrics, log=settings.access_log)
    return app


def open_admission(settings: Settings) -> Admission:
    """Opens the database of keys, if the settings name one, and the counters of requests.

    Raises:
        ConfigError: They cannot be kept as the settings say.
    """
    keys = None
    if settings.keys:
        from api.keys import KeyStore

        keys = KeyStore(settings.keys)
    return Admission(
        keys, required=settings.key_required, limit=settings.rate_limit, storage=settings.rate_limit_storage
    )


def open_models(settings: Settings) -> "ModelPool":
    """Opens the model, or the models, that the settings name.

    Where workers will be made by fork() this is done in one thread: a pool of threads would not be there after it.

    Raises:
        CheckpointError: There is none, or one cannot be used.
        ConfigError: Several workers are wanted, and there can be no processes here.
    """
    # oneDNN keeps the kernels of so many shapes, about half a megabyte each; requests that come and go make thousands.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
    wait_briefly()
    from translator.model_pool import ModelPool

    if settings.workers > 1:
        check_fork()
        set_thread_count(1)
    models = ModelPool.find(
        settings.model,
        threads=settings.threads if settings.workers == 1 else None,
        compute_type=settings.compute_type,
        idle_seconds=settings.model_idle_seconds,
    )
    gc.freeze()  # what was loaded stays; a collection that looked at all of it would hold everybody up for 100 ms
    return models


def serve(settings: Settings) -> None:
    """Serves until SIGTERM or Ctrl+C, then finishes what is in flight and returns.

    SIGTERM ends the process with exit code 0 at any time, also while the model is loaded: as the first process of
    a container it would be ignored without a handler. uvicorn puts its own in front and, when it has shut down,
    raises the signal once more.

    The model is loaded before the port opens, so that an unusable checkpoint is one sentence to the caller.

    Raises:
        CheckpointError: The model cannot be loaded.
        ConfigError: The address cannot be listened on, or several workers are wanted where there can be none.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _exit)
    from api.server import run

    run(create_app(settings, open_models(settings)), settings)


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _lifespan(settings: Settings, translator: TextTranslator | None) -> Lifespan:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        opened: TextTranslator = translator or open_models(settings)
        app.state.languages = Languages(opened.languages, opened.directions)
        app.state.detector = LanguageDetector(opened.languages)
        app.state.signatures = sign(opened, settings.beam_size)
        async with Batcher(
            opened,
            beam_size=settings.beam_size,
            max_characters=settings.queue_characters,
            deadline_seconds=settings.deadline_seconds,
            batch_size=settings.batch_size,
            workers=settings.workers,
            threads=settings.threads or max(1, threads_to_share() // settings.workers),
            metrics=app.state.metrics,
        ) as app.state.batcher:
            yield
        app.state.admission.close()

    return lifespan
