"""`carousel models`: which models there are, and what each says of itself."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from translator.errors import CheckpointError

if TYPE_CHECKING:
    from translator.checkpoint import Manifest

EXAMPLES = """\b
Examples:
  carousel models
  carousel models runs/mine/best --json
"""


def models(
    checkpoints: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FOLDER", help="Checkpoints to list besides the built-in models."),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the models: languages, size, scores, licence.

    A built-in model is given to --model by its name, any other by its folder.
    """
    from translator.catalogue import pretrained_models
    from translator.checkpoint import read_manifest

    folders = [*pretrained_models().values(), *(checkpoints or [])]
    if not folders:
        raise CheckpointError("No model is built in here: name the folder of a checkpoint.")
    describe = _json_line if as_json else _paragraph
    for folder in folders:
        typer.echo(describe(folder, read_manifest(folder)))


def _json_line(folder: Path, manifest: "Manifest") -> str:
    from translator.pivot import reachable

    facts = {
        "name": manifest.name,
        "path": str(folder),
        "languages": manifest.languages,
        "directions": reachable(manifest.directions),
        "bytes": _size_in_bytes(folder),
        "weights": manifest.stored_type,
        "licence": manifest.licence,
        "scores": [asdict(score) for score in manifest.scores],
    }
    return json.dumps(facts, ensure_ascii=False)


def _paragraph(folder: Path, manifest: "Manifest") -> str:
    from translator.pivot import reachable

    directions = ", ".join(f"{source} → {target}" for source, target in reachable(manifest.directions))
    size = f"{_size_in_bytes(folder) / 1e6:.1f} MB of {manifest.stored_type} weights"
    scores = [
        f"  {each.metric} {each.value:.1f}, {each.source} → {each.target}, {each.test_set}, {each.signature}"
        for each in manifest.scores
    ]
    lines = [manifest.name, f"  {directions}", f"  {size}", f"  licence: {manifest.licence}", *scores]
    return "\n".join([*lines, f"  {folder}", ""])


def _size_in_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
