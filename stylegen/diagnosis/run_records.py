"""Reads the records, settings and restarts of a run folder."""

import re
from pathlib import Path
from typing import Any

from stylegen.checkpoints.run_folder import RunFolder
from stylegen.config.sections import as_dict, flatten
from stylegen.config.train_composition import read_run_settings
from stylegen.config.train_settings import TrainSettings
from stylegen.errors import DamagedFile, UserError
from stylegen.files import parse_json

MAX_BYTES = 2**28  # 25,000 kimg with a record each kimg take 10 MB
_WENT_BACK = re.compile(r"^warning: \d+ steps in a row without finite gradients .* going back to", re.MULTILINE)


def open_run(path: str | Path) -> tuple[RunFolder, TrainSettings]:
    """The folder of a run and its settings.

    Raises:
        UserError: not the folder of a run, or a config.yaml that cannot be read.
    """
    folder = RunFolder(Path(path).expanduser())
    if not folder.is_run():
        raise UserError(
            f"run={path}",
            rule="is not the folder of a run, which holds config.yaml and metrics.jsonl",
            fix="Use run= with the output_dir of a training",
        )
    return folder, read_run_settings(folder.config)


def plain_settings(settings: TrainSettings) -> dict[str, Any]:
    """The settings by dotted key, without settings of absent regularizers and augmentations."""
    return flatten(as_dict(settings))


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records of metrics.jsonl, by kimg. A last line without its end, of a run that is being written, is left out.

    Raises:
        UserError: no file, or one without a record.
        DamagedFile: a line that is not a record.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror or error})",
            rule="a diagnosis needs the records of the run",
            fix="Train for at least log_every_kimg, or restore the file",
        ) from error
    lines = content[: content.rfind(b"\n") + 1].splitlines()
    records = [_record(line, number, path) for number, line in enumerate(lines, 1)]
    if not records:
        raise UserError(
            f"{path} has no records", rule="a diagnosis needs at least one", fix="Train for at least log_every_kimg"
        )
    return sorted(records, key=lambda record: float(record["kimg"]))


def _record(line: bytes, number: int, path: Path) -> dict[str, Any]:
    try:
        record = parse_json(line)
        sound = isinstance(record, dict) and record.get("kimg") is not None and all(map(_is_number, record.values()))
    except ValueError:
        sound = False
    if not sound:
        raise DamagedFile(
            f"{path}, line {number}",
            rule="each line must be a JSON object of numbers with the key kimg",
            fix="Restore the file, or remove the line",
        )
    return dict(record)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def count_recoveries(log: Path) -> int:
    """Restarts after divergence, from log.txt; 0 without the file."""
    try:
        return len(_WENT_BACK.findall(log.read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return 0
