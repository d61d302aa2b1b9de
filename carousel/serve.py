"""`carousel serve`: the HTTP service, with the settings of the environment and of the command line."""

from pathlib import Path
from typing import Annotated

import typer

from carousel.options import ComputeTypeOption, ModelOption, ThreadsOption

EXAMPLES = """\b
Examples:
  carousel serve
  carousel serve --port 9000 --model runs/mine/export
  carousel serve --model models/          every checkpoint in a folder
  carousel serve --workers 2              a process for each of two cores, for many clients
  carousel serve --settings carousel.toml
  CAROUSEL_HOST=0.0.0.0 carousel serve
"""


def serve(
    *,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Where to listen; CAROUSEL_HOST, else 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, max=65535, help="Which port; CAROUSEL_PORT, else 8000; 0 is any."),
    ] = None,
    model: ModelOption = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=256,
            help="Processes that translate; CAROUSEL_WORKERS, else 1, a thread beside the web server.",
        ),
    ] = None,
    threads: ThreadsOption = None,
    compute_type: ComputeTypeOption = None,
    settings: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings in TOML, by their names; CAROUSEL_SETTINGS.")
    ] = None,
) -> None:
    """Serve translations over HTTP.

    POST /translate and GET /languages speak as LibreTranslate does, GET /health says that all is well, the
    page at / is for people, and /docs describes it all. --model may name a folder of checkpoints, or "all"
    built-in ones: each is loaded when it is first needed. Every setting is also an environment variable with
    the prefix CAROUSEL_, which wins over the file; an option given here wins over both.
    """
    from api.app import serve as serve_forever
    from api.settings import load_settings

    serve_forever(
        load_settings(
            settings, host=host, port=port, model=model, workers=workers, threads=threads, compute_type=compute_type
        )
    )
