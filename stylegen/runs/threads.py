"""The number of CPU threads of a training; rounding depends on it, so a run keeps the number in its config.yaml."""

from stylegen.config.rules import device_type
from stylegen.config.train_settings import TrainSettings
from stylegen.cpus import available_cores, default_threads, threads_from_environment
from stylegen.runs.start import Start
from stylegen.training.step import TrainingStep
from stylegen.training.thread_probe import fastest_threads

_GPU_THREADS = 4  # a GPU's process has little work for the CPU


def choose_threads(settings: TrainSettings, step: TrainingStep, start: Start | None = None) -> tuple[int, list[str]]:
    """The number of threads of each process, and a note on it if there is something to say.

    A number in the settings is kept, and so is the number of the run that `start` continues. OMP_NUM_THREADS and a
    process's share of the cores replace a measurement on GPUs and where there is nothing to choose.

    Args:
        step: the networks to measure, on the CPU; unchanged.
        start: of the training; None for a new one.
    """
    processes, threads = settings.trainer.devices, _given(settings, start)
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


def _given(settings: TrainSettings, start: Start | None) -> int | str | None:
    """`threads`; of auto, the number of the run that is continued."""
    if settings.threads != "auto" or start is None or (run := start.run_settings()) is None:
        return settings.threads
    return run.threads


def _micro_batch(settings: TrainSettings, step: TrainingStep) -> int:
    """Images of a micro-batch at the end of the run."""
    batch = settings.batch_size if step.growth is None else step.growth.batch_at(round(settings.total_kimg * 1000))
    share = max(1, batch // (settings.trainer.devices * settings.trainer.num_nodes))
    return min(settings.batch_per_device or share, share)
