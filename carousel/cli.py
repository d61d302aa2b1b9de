"""The command `carousel`: its sub-commands put together.

Each sub-command is a module of this package; what it works with (translator, api, training) is imported
when it runs, so that `carousel --help` answers at once.
"""

from typing import Annotated

import typer

from carousel import (
    __version__,
    align,
    back_translate,
    calibrate,
    characters,
    evaluate,
    export,
    keys,
    link,
    models,
    prepare,
    serve,
    shortlist,
    train,
    translate,
)
from carousel.failures import SentenceOnFailure

app = typer.Typer(
    name="carousel",
    cls=SentenceOnFailure,
    help="A translator you own: translate, serve, train and measure with LSTM models of your own.",
    epilog="Every sub-command explains itself: carousel translate --help.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"carousel {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that stand before the sub-command."""


app.command("translate", epilog=translate.EXAMPLES)(translate.translate)
app.command("serve", epilog=serve.EXAMPLES)(serve.serve)
app.add_typer(keys.keys, name="keys")
app.command("models", epilog=models.EXAMPLES)(models.models)
app.command("link", epilog=link.EXAMPLES)(link.link)
app.command("characters", epilog=characters.EXAMPLES)(characters.characters)
app.command("back-translate", epilog=back_translate.EXAMPLES)(back_translate.back_translate)
app.command("shortlist", epilog=shortlist.EXAMPLES)(shortlist.shortlist)
app.command("prepare", epilog=prepare.EXAMPLES)(prepare.prepare)
app.command("train", epilog=train.EXAMPLES)(train.train)
app.command("evaluate", epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command("align", epilog=align.EXAMPLES)(align.align)
app.command("calibrate", epilog=calibrate.EXAMPLES)(calibrate.calibrate)
app.command("export", epilog=export.EXAMPLES)(export.export)
