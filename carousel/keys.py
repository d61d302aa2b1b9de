"""`carousel keys`: who may use the service."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from api.keys import KeyStore

EXAMPLES = """\b
Examples:
  carousel keys create phone --database sqlite:///keys.db
  carousel keys list
  carousel keys revoke phone
"""

keys = typer.Typer(
    help="Make, list and revoke the keys of the service.\n\nThey are kept as hashes in a database, which "
    "CAROUSEL_KEYS names for the service too: sqlite:///keys.db, or a PostgreSQL address.",
    epilog=EXAMPLES,
    no_args_is_help=True,
)

DatabaseOption = Annotated[
    str | None,
    typer.Option("--database", metavar="URL", help="Where keys are kept; CAROUSEL_KEYS, such as sqlite:///keys.db."),
]


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose it is.")],
    *,
    requests_per_minute: Annotated[
        int | None,
        typer.Option("--requests-per-minute", metavar="N", min=1, help="A limit of its own; else that of the service."),
    ] = None,
    database: DatabaseOption = None,
) -> None:
    """Make a key and show it, this once."""
    typer.echo(_store(database).create(name, requests_per_minute))
    typer.echo(f"This is the only time the key of {name} is shown; what is kept is its hash.", err=True)


@keys.command("list")
def list_keys(*, database: DatabaseOption = None) -> None:
    """List whose keys there are."""
    known = _store(database).list()
    if not known:
        typer.echo("There are no keys yet.", err=True)
    for key in known:
        limit = f"{key.requests_per_minute} requests a minute" if key.requests_per_minute else "no limit of its own"
        typer.echo(f"{key.name}\t{key.created:%Y-%m-%d}\t{limit}")


@keys.command()
def revoke(name: Annotated[str, typer.Argument(help="Whose it is.")], *, database: DatabaseOption = None) -> None:
    """Make a key invalid, from the next request on."""
    _store(database).revoke(name)
    typer.echo(f"The key of {name} is no longer valid.", err=True)


def _store(database: str | None) -> "KeyStore":
    from api.keys import KeyStore
    from api.settings import load_settings
    from translator.errors import ConfigError

    url = load_settings(keys=database).keys
    if url is None:
        raise ConfigError("Where are the keys kept? Give --database sqlite:///keys.db, or set CAROUSEL_KEYS.")
    return KeyStore(url)
