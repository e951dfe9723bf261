"""Regularisers by name. A new one is one file and one row here."""

from stylegen.regularizers.base import CriticBatch as CriticBatch
from stylegen.regularizers.base import Regularizer as Regularizer
from stylegen.regularizers.base import SynthesisBatch as SynthesisBatch
from stylegen.regularizers.path_length import PathLength
from stylegen.regularizers.r1 import R1

REGULARIZERS: dict[str, type[Regularizer]] = {"r1": R1, "path_length": PathLength}
