"""Where a training may write: paths as people type them, and folders that hold something already."""

import os
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from stylegen.data.dataset import OPENMOJI
from stylegen.errors import UserError
from stylegen.training.run_folder import RunFolder

_MAX_NAME = 255  # bytes, on every common file system
_MAX_PATH = 4096
_LONGEST_OWN = len("/snapshots/.000000.000.safetensors.1234567.1234567.partial")


def typed_path(setting: str, value: str) -> Path:
    """`value` with `~` expanded.

    Raises:
        UserError: an empty path, an unknown user's home, a NUL, or a name that no file system takes.
    """
    shown = f"{setting}={value if len(value) <= 80 else value[:77] + '...'}"
    if not value.strip():
        raise UserError(shown, rule="the path is empty", fix=f"Use {setting}=PATH, or leave it out")
    if "\0" in value:
        raise UserError(repr(shown), rule="a path holds no NUL character", fix=f"Use {setting}=PATH")
    try:
        path = Path(value).expanduser()
    except RuntimeError as error:
        raise UserError(
            shown, rule="there is no user of this name, or no home folder", fix="Write the path in full"
        ) from error
    encoded = [len(os.fsencode(part)) for part in path.parts]
    if max(encoded, default=0) > _MAX_NAME or len(os.fsencode(path.absolute())) + _LONGEST_OWN > _MAX_PATH:
        raise UserError(
            shown,
            rule=f"a name has up to {_MAX_NAME} bytes and a path up to {_MAX_PATH}; this one has {len(value)}",
            fix="Use a shorter one",
        )
    return path


def output_root(config: DictConfig) -> Path | None:
    """`config.output_dir`, or None for a new numbered folder."""
    return None if config.output_dir is None else typed_path("output_dir", config.output_dir)


def check_data_apart(config: DictConfig) -> None:
    """Raise UserError where training would write among the images that it reads, or read what it writes."""
    if OmegaConf.is_missing(config.data, "path") or config.data.path == OPENMOJI:
        return
    data = typed_path("data.path", str(config.data.path)).resolve()
    root = output_root(config)
    folder = RunFolder(Path("runs") if root is None else root)
    own = [folder.root, folder.reals.parent, folder.snapshot(0).parent, folder.checkpoint.parent]
    inside = root is not None and any(data.is_relative_to(path.resolve()) for path in own)
    if not inside and not (data.is_dir() and folder.root.resolve().is_relative_to(data)):
        return
    raise UserError(
        f"data.path={config.data.path} output_dir={folder.root}",
        rule=f"the {'data lie in the run folder' if inside else 'run folder lies among the data'}, "
        "so samples would mix with training images",
        fix="Name an output_dir apart from the data",
    )


def check_new(folder: RunFolder) -> None:
    """Raise UserError unless a new run may begin in `folder`: an empty one, or a run without a checkpoint."""
    root = folder.root
    if root.exists() and not root.is_dir():
        raise UserError(f"output_dir={root}", rule="it is a file", fix="Name a folder")
    if not folder.is_run():
        if not folder.is_vacant():
            raise UserError(
                f"output_dir={root}",
                rule="the folder is not empty and holds no run",
                fix="Name a new or an empty folder",
            )
    elif folder.saved.exists():
        raise UserError(
            f"output_dir={root}",
            rule=f"the run has reached {folder.newest_moment() / 1000:g} kimg, and checkpoints/ holds no checkpoint",
            fix="Restore one, or name another output_dir to train from the beginning",
        )
