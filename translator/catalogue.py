"""Names for checkpoints: the models that come with the library, and any folder."""

from pathlib import Path

from translator.checkpoint import MANIFEST
from translator.errors import CheckpointError
from translator.folders import readable

PRETRAINED = Path(__file__).parent / "pretrained"
DEFAULT_MODEL = "everyday"
ALL_MODELS = "all"


def pretrained_models() -> dict[str, Path]:
    """Returns the folder of every model that came with the library, by name."""
    return {manifest.parent.name: manifest.parent for manifest in sorted(PRETRAINED.glob("*/manifest.json"))}


def find_checkpoints(path_or_name: str | Path | None = None) -> list[Path]:
    """Returns the folders of the checkpoints that a name or a folder stands for, sorted.

    Args:
        path_or_name: As `find_checkpoint` takes it; besides, a folder of checkpoints, or "all" built-in models.

    Raises:
        CheckpointError: There is none.
    """
    if path_or_name is None:
        return [find_checkpoint()]
    if str(path_or_name) == ALL_MODELS and (built_in := list(pretrained_models().values())):
        return built_in
    folder = readable(Path(path_or_name))
    if (folder / MANIFEST).is_file() or not folder.is_dir():
        return [find_checkpoint(path_or_name)]
    # A checkpoint whose replacement was cut off is aside, under a name that its own one leads to.
    names = {each.name.removeprefix(".").removesuffix(".old") for each in folder.iterdir() if _is_or_was(each)}
    within = [folder / name for name in sorted(names) if (readable(folder / name) / MANIFEST).is_file()]
    return within or [find_checkpoint(path_or_name)]


def _is_or_was(folder: Path) -> bool:
    return not folder.name.startswith(".") or folder.name.endswith(".old")


def find_checkpoint(path_or_name: str | Path | None = None) -> Path:
    """Returns the folder of a checkpoint.

    Args:
        path_or_name: A folder, or the name of a model that came with the library; None is the default model.

    Raises:
        CheckpointError: There is neither such a folder nor such a name.
    """
    built_in = pretrained_models()
    wanted = DEFAULT_MODEL if path_or_name is None else str(path_or_name)
    if path_or_name is not None:
        folder = readable(Path(path_or_name))
        if (folder / MANIFEST).is_file() or (folder.is_dir() and wanted not in built_in):
            return folder
    if wanted in built_in:
        return built_in[wanted]
    raise CheckpointError(
        f"There is no checkpoint {wanted!r}: give the path of a checkpoint folder, or one of the built-in models "
        f"({', '.join(built_in) or 'none is built in here'})."
    )
