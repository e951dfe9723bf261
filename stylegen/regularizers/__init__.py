"""Regularizers by name."""

from stylegen.regularizers.bcr import BCR
from stylegen.regularizers.ct import CT
from stylegen.regularizers.dragan import DRAGAN
from stylegen.regularizers.drift import Drift
from stylegen.regularizers.lecam import LeCam
from stylegen.regularizers.orthogonal import Orthogonal
from stylegen.regularizers.path_length import PathLength
from stylegen.regularizers.r1 import R1
from stylegen.regularizers.r2 import R2
from stylegen.regularizers.regularizer import CriticBatch as CriticBatch
from stylegen.regularizers.regularizer import Regularizer as Regularizer
from stylegen.regularizers.regularizer import SynthesisBatch as SynthesisBatch
from stylegen.regularizers.regularizer import WeightBatch as WeightBatch
from stylegen.regularizers.roth import Roth
from stylegen.regularizers.spectral_norm import SpectralNorm
from stylegen.regularizers.vdb import VDB
from stylegen.regularizers.weight_clipping import WeightClipping
from stylegen.regularizers.wgan_div import WGANDiv
from stylegen.regularizers.wgan_gp import WGANGP
from stylegen.regularizers.zcr import ZCRDiscriminator, ZCRGenerator
from stylegen.regularizers.zero_gp import ZeroGP

REGULARIZERS: dict[str, type[Regularizer]] = {
    "r1": R1,
    "r2": R2,
    "zero_gp": ZeroGP,
    "wgan_gp": WGANGP,
    "wgan_div": WGANDiv,
    "dragan": DRAGAN,
    "roth": Roth,
    "ct": CT,
    "bcr": BCR,
    "zcr_d": ZCRDiscriminator,
    "zcr_g": ZCRGenerator,
    "drift": Drift,
    "path_length": PathLength,
    "lecam": LeCam,
    "orthogonal": Orthogonal,
    "vdb": VDB,
    "spectral_norm": SpectralNorm,
    "weight_clipping": WeightClipping,
}
# Those that limit the gradient norm of the discriminator, in addition to R1 and R2.
GRADIENT_REGULARIZERS = frozenset(
    {"zero_gp", "wgan_gp", "wgan_div", "dragan", "roth", "spectral_norm", "weight_clipping"}
)
