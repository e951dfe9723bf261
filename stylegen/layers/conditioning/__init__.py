"""Ways of conditioning feature maps, by name. A new one is one file and one row here; docs/conditioning.md compares."""

from stylegen.layers.conditioning.adain import AdaIN
from stylegen.layers.conditioning.base import Affine as Affine
from stylegen.layers.conditioning.base import Conditioning as Conditioning
from stylegen.layers.conditioning.base import modulate as modulate
from stylegen.layers.conditioning.batch_norm import BatchNorm
from stylegen.layers.conditioning.batch_norm import batch_statistics as batch_statistics
from stylegen.layers.conditioning.batch_norm import standing_statistics as standing_statistics
from stylegen.layers.conditioning.cin import ConditionalInstanceNorm
from stylegen.layers.conditioning.concatenation import Concatenation
from stylegen.layers.conditioning.conditional_batch_norm import BatchFiLM, ClassBatchNorm
from stylegen.layers.conditioning.film import FiLM, InstanceFiLM, LayerFiLM, ScaleOnly, ShiftOnly
from stylegen.layers.conditioning.instance_norm import InstanceNorm
from stylegen.layers.conditioning.layer_norm import LayerNorm
from stylegen.layers.conditioning.pixel_norm import PixelNorm
from stylegen.layers.conditioning.self_modulation import SelfModulation
from stylegen.layers.conditioning.squeeze_excitation import ConditionalSqueezeExcitation, SqueezeExcitation

CONDITIONINGS: dict[str, type[Conditioning]] = {
    # told a vector: w
    "adain": AdaIN,
    "instance_film": InstanceFiLM,
    "film": FiLM,
    "layer_film": LayerFiLM,
    "batch_film": BatchFiLM,
    "scale_only": ScaleOnly,
    "shift_only": ShiftOnly,
    "self_modulation": SelfModulation,
    "se": ConditionalSqueezeExcitation,
    "concat": Concatenation,
    # told an index: the class
    "cin": ConditionalInstanceNorm,
    "class_batch": ClassBatchNorm,
    # told nothing
    "none": PixelNorm,
    "batch_norm": BatchNorm,
    "layer_norm": LayerNorm,
    "instance_norm": InstanceNorm,
    "plain_se": SqueezeExcitation,
}
