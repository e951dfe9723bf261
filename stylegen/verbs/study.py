"""Compare variants of a training under an equal budget: runs one after the other, then a report."""

import sys
from dataclasses import dataclass
from pathlib import Path

from stylegen.config.settings import StudySettings
from stylegen.studies.plan import load_study, plan_experiments
from stylegen.studies.study_report import FILES, write_report
from stylegen.studies.trial import run_trial
from stylegen.verbs import train


@dataclass(frozen=True)
class StudyResult:
    """The folder of the report."""

    folder: Path

    def __str__(self) -> str:
        return "\n".join(f"{what:9s} {self.folder / name}" for what, name in FILES.items())


def run(settings: StudySettings) -> StudyResult:
    """Train unfinished experiments, then write report.md, report.csv, report.svg and a grid for each variant.

    Raises:
        UserError: an unknown study or variant, or invalid settings of any experiment; raised before training starts.
        Stopped: by a signal; the same command continues.
    """
    study = load_study(settings.name)
    root = Path(settings.output_dir or Path("runs") / f"study-{Path(settings.name).stem}").expanduser()
    experiments = plan_experiments(settings, study, root)
    trials = []
    for number, experiment in enumerate(experiments, 1):
        print(f"{number}/{len(experiments)}  {experiment.variant}  seed {experiment.seed}", file=sys.stderr)
        trials.append(run_trial(experiment, train.run))
    write_report(root, study, experiments, trials)
    return StudyResult(root)
