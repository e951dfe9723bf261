"""Where a training may write: apart from its data, and not into folders that hold something else."""

from pathlib import Path

from stylegen.bounds import REQUIRED
from stylegen.checkpoints.run_folder import RunFolder
from stylegen.config.continued import output_root
from stylegen.config.train_settings import TrainSettings
from stylegen.config.yaml_file import load_yaml
from stylegen.data.dataset import OPENMOJI
from stylegen.errors import UserError


def check_data_apart(config: TrainSettings) -> None:
    """Raise UserError where training would write among the images that it reads, or read what it writes."""
    if config.data.path in (REQUIRED, OPENMOJI):
        return
    data = Path(config.data.path).expanduser().resolve()
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
    elif folder.saved.exists() or _is_beyond_a_checkpoint(folder):
        raise UserError(
            f"output_dir={root}",
            rule=f"the run has reached {folder.newest_moment() / 1000:g} kimg, and checkpoints/ holds no checkpoint",
            fix="Restore one, or name another output_dir to train from the beginning",
        )


def _is_beyond_a_checkpoint(folder: RunFolder) -> bool:
    """Whether the run has results from after the moment of its first checkpoint, by the interval in its config.yaml.

    The mark `.saved` is hidden, so copies of a run may lack it; runs from before there was one lack it too.
    """
    try:
        own = load_yaml(folder.config)
        batches = [own["batch_size"], *((own.get("growth") or {}).get("batch_sizes") or [])]
        due = min(own["checkpoint_every_kimg"] or own["total_kimg"], own["total_kimg"]) * 1000
        return folder.newest_moment() >= due + max(batches) * (due < own["total_kimg"] * 1000)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return folder.newest_moment() > 0  # nobody can tell
