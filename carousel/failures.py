"""What a person sees when a sub-command fails: one sentence on stderr and an exit code, never a traceback.

An error that is none of the known kinds is a fault of ours and keeps its traceback.
"""

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

USAGE_EXIT_CODE = 2
INTERRUPTED_EXIT_CODE = 130  # 128 + SIGINT, as a shell counts
BROKEN_PIPE_EXIT_CODE = 141  # 128 + SIGPIPE

EXTRA_OF_MODULE = {
    "api": "serve",
    "fastapi": "serve",
    "limits": "serve",
    "multipart": "serve",
    "pydantic": "serve",
    "pydantic_settings": "serve",
    "python_multipart": "serve",
    "sqlalchemy": "serve",
    "uvicorn": "serve",
    "sacrebleu": "train",
    "tensorboard": "train",
    "training": "train",
}


class SentenceOnFailure(TyperGroup):
    """The group of sub-commands; turns the errors that a person can mend into a sentence and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen sub-command.

        Raises:
            typer.Exit: With the exit code that says how it failed.
        """
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # a reader that went away shows here, not at interpreter exit
            return result
        except BrokenPipeError:
            _forget_stdout()
            raise typer.Exit(BROKEN_PIPE_EXIT_CODE) from None
        except KeyboardInterrupt:
            typer.echo("Interrupted.", err=True)
            raise typer.Exit(INTERRUPTED_EXIT_CODE) from None
        except Exception as error:
            sentence = sentence_for(error)
            if sentence is None:
                raise
            typer.echo(f"carousel: {sentence}", err=True)
            raise typer.Exit(USAGE_EXIT_CODE) from None


def sentence_for(error: Exception) -> str | None:
    """Say in one sentence what went wrong and what to do; None when the error is a fault of the program."""
    from translator.errors import CarouselError

    if isinstance(error, CarouselError):
        return " ".join(str(error).split())
    if isinstance(error, ModuleNotFoundError):
        return _missing_extra(error)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{error.strerror}"
    return None


def _missing_extra(error: ModuleNotFoundError) -> str | None:
    extra = EXTRA_OF_MODULE.get(error.name or "")
    if extra is None:
        return None
    return f"the module {error.name!r} is not installed: pip install 'carousel-translator[{extra}]'."


def _forget_stdout() -> None:
    """Point stdout nowhere, so that the interpreter's last flush cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
