"""`python train.py`, or `python -m stylegen train`."""

from stylegen.config.train_settings import TrainSettings
from stylegen.runs.result import TrainResult
from stylegen.runs.run import train


def run(settings: TrainSettings) -> TrainResult | None:
    """Train or continue a run -> the result on rank 0, None on the others."""
    return train(settings)
