"""What a training does about trouble: it goes back to where all was well, or says what would help."""

import contextlib
from collections.abc import Callable, Iterator

import torch

from stylegen.checkpoints.run_folder import RunFolder
from stylegen.config.rules import num_processes
from stylegen.config.train_settings import TrainSettings
from stylegen.distributed import is_first
from stylegen.errors import RunError, UserError
from stylegen.runs.start import Start
from stylegen.training.checkpoint_io import read_checkpoint
from stylegen.training.run_log import RunLog
from stylegen.training.step import TrainingStep


def go_back(begun: Start, step: TrainingStep, attempts: int) -> tuple[Start, int]:
    """Where a diverged training begins again, and the number of that attempt.

    That is the newest checkpoint outside any streak of steps without finite gradients, or the beginning. The count
    of attempts starts anew whenever a checkpoint is reached that the attempts before did not reach.

    Args:
        begun: where the training that diverged began; its checkpoint may lie in another folder.
        attempts: from one checkpoint, after which the run is given up.

    Raises:
        RunError: the run is given up.
    """
    start, saved = Start(begun.folder), 0
    for path in [*begun.folder.numbered_checkpoints(), *([begun.checkpoint] if begun.checkpoint else [])]:
        try:
            clock = read_checkpoint(path, step)["clock"]
        except UserError:  # an older one will do
            continue
        if not any(clock["streaks"]):
            start, saved = Start(begun.folder, path, clock["images_seen"]), clock["attempt"]
            break
    where = f"{step.images_seen / 1000:g} kimg"
    attempt = step.attempt + 1
    if attempt - saved > attempts:
        raise RunError(
            f"the training diverges: {step.options.bad_steps} steps in a row without finite gradients up to {where}, "
            f"{attempts} attempt(s) from {start.images_seen / 1000:g} kimg notwithstanding. Begin a new run with a "
            "larger regularizers.r1.gamma or lower optimizer.g_lr and optimizer.d_lr"
        )
    if is_first():
        RunLog(start.folder.log).say(
            f"warning: {step.options.bad_steps} steps in a row without finite gradients up to {where}; going back to "
            f"{start.images_seen / 1000:g} kimg with other random numbers (attempt {attempt - saved} of {attempts})"
        )
        start.folder.prepare(new=start.checkpoint is None)
    return start, attempt


@contextlib.contextmanager
def explained_disk_errors(folder: RunFolder) -> Iterator[None]:
    """Raise RunError, naming the file and what is safe, where the body cannot write the run's files."""
    try:
        yield
    except OSError as error:
        folder.check_there()
        whole = folder.checkpoints()
        state = f"{whole[0]} is whole" if whole else "there is no checkpoint yet"
        raise RunError(
            f"{error.filename or folder.root} cannot be used ({error.strerror or error}); {state}. "
            f"Make room or restore the access, then give the same command with output_dir={folder.root}"
        ) from error


@contextlib.contextmanager
def explained_memory_errors(config: TrainSettings, current: Callable[[], TrainingStep]) -> Iterator[None]:
    """Raise RunError, naming the batch and what helps, where the body runs out of memory.

    Args:
        current: the current training step; its batch size depends on the resolution where the networks grow.
    """
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in text:
            raise
        step = current()
        batch = config.batch_size if step.growth is None else step.growth.batch_at(step.images_seen)
        share = min(config.batch_per_device or batch, batch // num_processes(config))
        group = min(config.discriminator.mbstd_group_size, batch) if config.discriminator.mbstd_num_channels else 1
        smaller = [size for size in range(group, share, group) if share % size == 0]
        same = f"batch_per_device={smaller[-1]} continues the same training in less; " if smaller else ""
        raise RunError(
            f"out of memory with {share} picture(s) at a time on each device (batch_size={batch}): {same}"
            "precision=bf16, a smaller batch_size, or smaller generator.channel_base and discriminator.channel_base, "
            "make another one that needs less"
        ) from error
