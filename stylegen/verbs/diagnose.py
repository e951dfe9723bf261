"""`diagnose`: what is wrong with a run, with the rule behind each finding."""

from pathlib import Path

from stylegen.config.settings import DiagnoseSettings
from stylegen.cpus import use_default_threads
from stylegen.diagnosis.diagnosis import diagnose
from stylegen.distributed import choose_device
from stylegen.errors import UserError
from stylegen.files import write_text


def run(settings: DiagnoseSettings) -> str:
    """The findings as text, and as one JSON object on the last line or in `out`.

    Raises:
        UserError: not a run, damaged records, or `out` not writable.
    """
    use_default_threads()
    out = None if settings.out is None else Path(settings.out).expanduser()
    if out is not None and (out.suffix != ".json" or out.is_dir() or not out.absolute().parent.is_dir()):
        raise UserError(f"out={out}", rule="must be a .json file in an existing folder", fix="Use out=FILE.json")
    diagnosis = diagnose(settings.run, settings.num_samples, choose_device(settings.device))
    if out is not None:
        write_text(out, f"{diagnosis.to_json(2)}\n")
        return "\n".join(diagnosis.lines())
    return "\n".join([*diagnosis.lines(), diagnosis.to_json()])
