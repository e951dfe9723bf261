"""Recovery from divergence, and messages for errors of the disk and of memory."""

import contextlib
from collections.abc import Callable, Iterator

import torch

from stylegen.checkpoints.run_folder import RunFolder
from stylegen.config.rules import num_processes
from stylegen.config.train_settings import TrainSettings
from stylegen.distributed import is_rank0
from stylegen.errors import RunError, UserError
from stylegen.runs.start import Start
from stylegen.training.checkpoint_io import read_checkpoint
from stylegen.training.run_log import RunLog
from stylegen.training.step import TrainingStep

# in a RuntimeError: of the CPU's allocator; of cuBLAS, cuDNN and CUDA, which are no torch.OutOfMemoryError
_OUT_OF_MEMORY = ("can't allocate memory", "ALLOC_FAILED", "out of memory")


def restart_from_checkpoint(begun: Start, step: TrainingStep, attempts: int) -> tuple[Start, int]:
    """The restart of a diverged run, and the number of the new attempt.

    Restarts from the newest checkpoint outside a series of steps with non-finite gradients, or from 0 kimg. The number
    of attempts per checkpoint is limited.

    Args:
        begun: the start of the diverged training; its checkpoint may be in another folder.
        step: the diverged step.
        attempts: limit per checkpoint.

    Raises:
        RunError: no attempt is left.
    """
    start, saved = Start(begun.folder), 0
    for path in [*begun.folder.numbered_checkpoints(), *([begun.checkpoint] if begun.checkpoint else [])]:
        try:
            clock = read_checkpoint(path, step)["clock"]
        except UserError:  # try an older one
            continue
        if not any(clock["streaks"]):
            start, saved = Start(begun.folder, path, clock["images_seen"]), clock["attempt"]
            break
    where = f"{step.images_seen / 1000:g} kimg"
    attempt = step.attempt + 1
    if attempt - saved > attempts:
        raise RunError(
            f"the training diverges: {step.options.bad_steps} steps in a row without finite gradients up to {where}, "
            f"in all of {attempts} attempt(s) from {start.images_seen / 1000:g} kimg. Start a new run with a larger "
            "regularizers.r1.gamma, or a lower optimizer.g_lr and optimizer.d_lr"
        )
    if is_rank0():
        RunLog(start.folder.log).write(
            f"warning: {step.options.bad_steps} steps in a row without finite gradients up to {where}; going back to "
            f"{start.images_seen / 1000:g} kimg with other random numbers (attempt {attempt - saved} of {attempts})"
        )
        start.folder.prepare(new=start.checkpoint is None)
    return start, attempt


@contextlib.contextmanager
def explained_disk_errors(folder: RunFolder) -> Iterator[None]:
    """Context manager: turns an OSError into a RunError that names the file and the last checkpoint."""
    try:
        yield
    except OSError as error:
        folder.check_exists()
        saved = folder.checkpoints()
        state = f"{saved[0]} is intact" if saved else "no checkpoint has been saved"
        raise RunError(
            f"{error.filename or folder.root} cannot be used ({error.strerror or error}); {state}. "
            f"Free space or restore access, then run the same command with output_dir={folder.root}"
        ) from error


@contextlib.contextmanager
def explained_memory_errors(settings: TrainSettings, current: Callable[[], TrainingStep]) -> Iterator[None]:
    """Context manager: turns an out-of-memory error into a RunError that names settings which need less memory.

    Args:
        current: the current training step; its batch size depends on the resolution if the networks grow.
    """
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if not isinstance(error, torch.OutOfMemoryError) and not any(part in text for part in _OUT_OF_MEMORY):
            raise
        step = current()
        batch = settings.batch_size if step.growth is None else step.growth.batch_at(step.images_seen)
        share = min(settings.batch_per_device or batch, batch // num_processes(settings))
        D = settings.discriminator.arguments
        group = min(D["mbstd_group_size"], batch) if D.get("mbstd_num_channels") else 1
        smaller = [size for size in range(group, share, group) if share % size == 0]
        same = f"batch_per_device={smaller[-1]} continues the same training with less memory; " if smaller else ""
        raise RunError(
            f"out of memory with {share} image(s) at a time per device (batch_size={batch}): {same}"
            "precision=bf16, a smaller batch_size, or smaller generator.channel_base and discriminator.channel_base "
            "need less memory too, but change the training"
        ) from error
