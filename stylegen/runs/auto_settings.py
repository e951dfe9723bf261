"""What `threads=auto` and `compile=auto` choose. Rounding depends on both, so a run keeps them in its config.yaml."""

from stylegen.config.rules import ON, device_type, num_processes, obstacle_to_compile
from stylegen.config.train_settings import TrainSettings
from stylegen.cpus import available_cores, default_threads, threads_from_environment
from stylegen.runs.start import Start
from stylegen.training.compilation import worth_compiling
from stylegen.training.estimate import seconds_left
from stylegen.training.step import TrainingStep
from stylegen.training.thread_probe import fastest_threads

_GPU_THREADS = 4  # a GPU's process has little work for the CPU


def choose_threads(settings: TrainSettings, step: TrainingStep, start: Start | None = None) -> tuple[int, list[str]]:
    """The number of threads of each process, and a note on the choice, if any.

    A number in the settings is kept, and so is the number of the run that `start` continues. OMP_NUM_THREADS and a
    process's share of the cores replace a measurement on GPUs and where there is nothing to choose.

    Args:
        step: the networks to measure, on the CPU; unchanged.
        start: checkpoint to continue from; None for a new run.
    """
    processes, threads = settings.trainer.devices, settings.threads
    if threads == "auto" and (run := _continued(start)) is not None:
        threads = run.threads
    cores = max(1, available_cores() // processes)
    if isinstance(threads, int):
        too_many = f"threads={threads} for {cores} core{'s' * (cores > 1)} per process: threads wait for each other"
        return threads, [too_many] if threads > cores else []
    if threads is None or threads_from_environment() is not None:
        return default_threads(processes), []
    if device_type(settings.trainer.accelerator) != "cpu":
        return min(cores, _GPU_THREADS), []
    if cores == 1:
        return 1, []
    threads = fastest_threads(step, _micro_batch(settings, step), cores)
    return threads, [f"threads={threads} of {cores} cores{' per process' * (processes > 1)}, as measured"]


def choose_compile(settings: TrainSettings, step: TrainingStep, start: Start | None = None) -> tuple[bool, list[str]]:
    """Whether to compile, and a note on the choice of compile=auto.

    A value in the settings is kept, and so is the choice of the run that `start` continues.

    Args:
        step: the networks, on the CPU; unchanged.
        start: checkpoint to continue from; None for a new run.
    """
    given = settings.compile
    if given == "auto" and (run := _continued(start)) is not None:
        given = run.compile in ON  # false in runs older than this setting
    if given != "auto":
        return given in ON, []
    if (obstacle := obstacle_to_compile(settings)) is not None:
        return False, [f"compile=false: {obstacle}"]
    if device_type(settings.trainer.accelerator) != "cpu":
        return False, ["compile=false: the gain on GPUs has not been measured; try compile=true"]
    seconds = seconds_left(step, round(settings.total_kimg * 1000), settings.batch_size, num_processes(settings))
    worth, times = worth_compiling(step, seconds)
    return worth, [f"compile={str(worth).lower()}: {times}"]


def _continued(start: Start | None) -> TrainSettings | None:
    return None if start is None else start.run_settings()


def _micro_batch(settings: TrainSettings, step: TrainingStep) -> int:
    """Images of a micro-batch at the end of the run."""
    batch = settings.batch_size if step.growth is None else step.growth.batch_at(round(settings.total_kimg * 1000))
    share = max(1, batch // (settings.trainer.devices * settings.trainer.num_nodes))
    return min(settings.batch_per_device or share, share)
