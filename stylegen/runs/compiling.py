"""Whether a training is compiled; rounding depends on it, so a run keeps the choice in its config.yaml."""

from stylegen.config.rules import ON, device_type, num_processes, obstacle_to_compile
from stylegen.config.train_settings import TrainSettings
from stylegen.runs.start import Start
from stylegen.training.compilation import worth_compiling
from stylegen.training.estimate import seconds_left
from stylegen.training.step import TrainingStep


def choose_compile(settings: TrainSettings, step: TrainingStep, start: Start) -> tuple[bool, list[str]]:
    """Whether to compile, and a note on the choice of compile=auto.

    A value in the settings is kept, and so is the choice of the run that `start` continues.

    Args:
        step: the networks, on the CPU; unchanged.
        start: of the training.
    """
    given = _given(settings, start)
    if given != "auto":
        return given in ON, []
    if (obstacle := obstacle_to_compile(settings)) is not None:
        return False, [f"compile=false: {obstacle}"]
    if device_type(settings.trainer.accelerator) != "cpu":
        return False, ["compile=false: the gain on GPUs has not been measured; try compile=true"]
    seconds = seconds_left(step, round(settings.total_kimg * 1000), settings.batch_size, num_processes(settings))
    worth, times = worth_compiling(step, seconds)
    return worth, [f"compile={str(worth).lower()}: {times}"]


def _given(settings: TrainSettings, start: Start) -> bool | str:
    """`compile`; of auto, the choice of the run that is continued (false in runs older than this setting)."""
    if settings.compile != "auto" or (run := start.run_settings()) is None:
        return settings.compile
    return run.compile in ON
