"""A training run from start to end: check settings and data, choose the start, lock the folder, train in one or several
processes, restart from a checkpoint on divergence, read the result.

All checks precede the first write. Under torchrun or srun, each process runs `train`: rank 0 chooses the start for all
ranks and writes the files. With `trainer.devices` alone, this process does both, and its workers run `_train_rank` (see
`stylegen.launching`).
"""

from collections.abc import Callable
from dataclasses import replace

import torch

from stylegen.checkpoints.run_folder import next_run_folder
from stylegen.config.rules import check_settings, device_type, notices
from stylegen.config.sections import as_dict
from stylegen.config.train_settings import TrainSettings
from stylegen.config.user_dataset import reasons
from stylegen.config.yaml_file import dump_yaml
from stylegen.data.dataset import ImageDataset
from stylegen.distributed import broadcast_from_rank0, is_rank0, process_group
from stylegen.errors import UserError
from stylegen.files import write_text
from stylegen.launching import StopSignals, launch, launches
from stylegen.runs.auto_settings import choose_compile, choose_threads
from stylegen.runs.build import build_data, build_dataset, build_step
from stylegen.runs.initial import initialize
from stylegen.runs.recovery import explained_disk_errors, explained_memory_errors, restart_from_checkpoint
from stylegen.runs.reporting import build_observers
from stylegen.runs.result import TrainResult, early_end, read_result
from stylegen.runs.run_lock import RunLock
from stylegen.runs.start import Start, check_data_apart, find_start, last_saved
from stylegen.training.checkpoint_io import read_checkpoint
from stylegen.training.compilation import compile_step
from stylegen.training.lightning.slurm import export_slurm_ranks
from stylegen.training.observers.stop import StopRequest
from stylegen.training.precision import Precision
from stylegen.training.run_log import RunLog
from stylegen.training.step import TrainingStep

_HINT = "the same command with the same output_dir continues from the last checkpoint"


def train(settings: TrainSettings) -> TrainResult | None:
    """Start or continue a run -> the result on rank 0, None on the others.

    Raises:
        UserError: settings, data or a folder that cannot be used; nothing has been written.
        RunError: a failure at run time.
        Stopped: by a signal or `max_hours`; a checkpoint has been saved.
    """
    check_data_apart(settings)
    saved = last_saved(settings)
    dataset = build_dataset(settings)
    check_settings(settings, dataset)
    step = build_step(settings, dataset)
    mixing = step.G.num_ws > 1
    export_slurm_ranks(settings.trainer.devices, settings.trainer.num_nodes)
    with process_group(torch.device(device_type(settings.trainer.accelerator))) as device:
        start, note = broadcast_from_rank0(lambda: _choose_start(settings, dataset, step))
        if start.is_finished(settings):
            return read_result(start.folder, start.images_seen, mixing, already_finished=True) if is_rank0() else None
        with explained_memory_errors(settings, lambda: step):
            threads, threads_note = broadcast_from_rank0(lambda: choose_threads(settings, step, start))
            settings = replace(settings, threads=threads)
            torch.set_num_threads(threads)
            compiled, compile_note = broadcast_from_rank0(lambda: choose_compile(settings, step, start))
            settings = replace(settings, compile=compiled)
        if not is_rank0():
            _train_from(start, settings, dataset, _initialized(step, start, settings, dataset), device)
            return None
        start.folder.prepare(new=False)
        with RunLock(start.folder.root), explained_disk_errors(start.folder):
            _check_unchanged(settings, saved)
            notes = [*notices(settings, dataset), *note, *threads_note, *compile_note]
            _open_folder(settings, start, notes, reasons(settings, dataset))
            if launches(settings.trainer.devices):
                del dataset, step  # each worker has its own
                with StopSignals(settings.trainer.requeue, shared=True) as signals:
                    workers = settings.trainer.devices
                    images_seen = launch(_train_rank, settings, start, signals, processes=workers, hint=_HINT)
            else:
                images_seen = _train_from(start, settings, dataset, step, device)
            result = read_result(start.folder, images_seen, mixing)
            RunLog(start.folder.log).write(str(result), terminal=False)
            return result


def _choose_start(settings: TrainSettings, dataset: ImageDataset, step: TrainingStep) -> tuple[Start, list[str]]:
    """On rank 0: the start, and a note on the initial weights of a new run. Creates a numbered folder unless
    `output_dir` is given."""
    start = find_start(settings, step, dataset.fingerprint)
    note = initialize(settings, step, dataset.spec) if start.checkpoint is None else None
    if start.numbered:
        folder = next_run_folder(start.folder.root, f"{dataset.name}{dataset.spec.resolution}")
        start = replace(start, folder=folder, numbered=False)
    return start, [note] if note else []


def _check_unchanged(settings: TrainSettings, saved: int | None) -> None:
    if last_saved(settings) != saved:
        raise UserError(
            f"output_dir={settings.output_dir}",
            rule="another process has saved a checkpoint there in the meantime",
            fix="Run the same command again",
        )


def _open_folder(settings: TrainSettings, start: Start, notes: list[str], choice: list[str]) -> None:
    """Write config.yaml and the first lines of the log; a new run removes the results of an earlier attempt.

    Args:
        choice: lines on the settings that were chosen for the images, for a new run.
    """
    if start.checkpoint is None and start.folder.is_run():
        notes = [*notes, f"{start.folder.root} holds an attempt without a checkpoint; training starts at 0 kimg again"]
    start.folder.prepare(new=start.checkpoint is None)
    write_text(start.folder.config, dump_yaml(as_dict(settings)))
    log = RunLog(start.folder.log)
    for line in choice if start.checkpoint is None else ():
        log.write(f"{'auto':11s}{line}")
    for note in notes:
        log.write(f"note: {note}")


def _train_rank(settings: TrainSettings, start: Start, signals: StopSignals) -> int:
    """Build and train in a worker process -> images seen."""
    with process_group(torch.device(device_type(settings.trainer.accelerator))) as device:
        torch.set_num_threads(int(settings.threads or 1))
        dataset = build_dataset(settings)
        step = _initialized(build_step(settings, dataset), start, settings, dataset)
        return _train_from(start, settings, dataset, step, device, signals)


def _note_writer(start: Start) -> Callable[[str], None]:
    """A function that writes a note to the log, on rank 0."""
    log = RunLog(start.folder.log)
    return lambda line: log.write(f"note: {line}") if is_rank0() else None


def _initialized(step: TrainingStep, start: Start, settings: TrainSettings, dataset: ImageDataset) -> TrainingStep:
    if start.checkpoint is None:
        initialize(settings, step, dataset.spec)
    return step


def _train_from(
    start: Start,
    settings: TrainSettings,
    dataset: ImageDataset,
    step: TrainingStep,
    device: torch.device,
    signals: StopSignals | None = None,
) -> int:
    """Train on this rank to the end of the run -> images seen. On divergence, restart from a checkpoint."""
    from stylegen.training.lightning.fit import fit  # imports Lightning: seconds, for the process that trains only

    Precision(settings.precision, settings.half_resolutions).set_products()
    stop = StopRequest(signals or StopSignals(settings.trainer.requeue), settings.max_hours)
    with explained_memory_errors(settings, lambda: step):
        while True:
            observers = build_observers(settings, dataset, start, stop)
            step.to(device)
            if settings.compile is True:
                compile_step(step, _note_writer(start))
            if start.checkpoint is not None:
                content = read_checkpoint(start.checkpoint, step)
                step.load_state_dict(content)
                observers.load_state_dict(content["observers"])
            fit(step, build_data(settings, dataset, step), observers, device)
            if not step.diverged or stop.signal is not None:
                break
            start, attempt = restart_from_checkpoint(start, step, settings.attempts)
            step = _initialized(build_step(settings, dataset), start, settings, dataset)
            step.begin_attempt(attempt)
    if step.images_seen < round(settings.total_kimg * 1000):
        raise early_end(start.folder, step.images_seen, stop.signal)
    return step.images_seen
