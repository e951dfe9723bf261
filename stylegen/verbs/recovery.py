"""What a training does about trouble: it goes back to where all was well, or says what would help."""

import contextlib
import sys
from collections.abc import Iterator

import torch
from omegaconf import DictConfig

from stylegen.errors import RunError
from stylegen.training.module import StyleGANModule
from stylegen.training.run_folder import RunFolder
from stylegen.verbs.checks import num_processes
from stylegen.verbs.resume import Start


def go_back(folder: RunFolder, module: StyleGANModule, attempts: int) -> tuple[Start, int]:
    """Where a diverged training begins again, and the number of that attempt.

    That is the newest checkpoint outside any streak of steps without finite gradients, or the beginning. The count
    of attempts starts anew whenever a checkpoint is reached that the attempts before did not reach.

    Args:
        attempts: from one checkpoint, after which the run is given up.

    Raises:
        RunError: the run is given up.
    """
    start, saved = Start(folder), 0
    for path in folder.numbered_checkpoints():
        try:
            clock = torch.load(path, map_location="cpu", weights_only=True)["clock"]
        except Exception:  # torch raises many kinds for a damaged file; an older one will do
            continue
        if not any(clock["streaks"]):
            start, saved = Start(folder, path, clock["images_seen"]), clock["attempt"]
            break
    where = f"{module.images_seen / 1000:g} kimg"
    attempt = module.attempt + 1
    if attempt - saved > attempts:
        raise RunError(
            f"the training diverges: {module.bad_steps} steps in a row without finite gradients up to {where}, "
            f"{attempts} attempt(s) from {start.images_seen / 1000:g} kimg notwithstanding. Begin a new run with a "
            "larger regularizers.r1.gamma or lower optimizer.g_lr and optimizer.d_lr"
        )
    if module.global_rank == 0:
        print(
            f"warning: {module.bad_steps} steps in a row without finite gradients up to {where}; going back to "
            f"{start.images_seen / 1000:g} kimg with other random numbers (attempt {attempt - saved} of {attempts})",
            file=sys.stderr,
        )
        folder.prepare(new=start.checkpoint is None)
    return start, attempt


@contextlib.contextmanager
def explained_memory_errors(config: DictConfig) -> Iterator[None]:
    """Raise RunError, naming the batch and what helps, where the body runs out of memory."""
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in text:
            raise
        share = config.batch_per_device or config.batch_size // num_processes(config)
        raise RunError(
            f"out of memory with {share} picture(s) at a time on each device (batch_size={config.batch_size}): "
            f"batch_per_device={max(share // 2, 1)} continues the same training in less; precision=bf16, or smaller "
            "generator.channel_base and discriminator.channel_base, make another one that needs less"
        ) from error
