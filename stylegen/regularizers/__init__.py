"""Regularizers by name."""

from stylegen.regularizers.path_length import PathLength
from stylegen.regularizers.r1 import R1
from stylegen.regularizers.regularizer import CriticBatch as CriticBatch
from stylegen.regularizers.regularizer import Regularizer as Regularizer
from stylegen.regularizers.regularizer import SynthesisBatch as SynthesisBatch

REGULARIZERS: dict[str, type[Regularizer]] = {"r1": R1, "path_length": PathLength}
