"""The objective and the options of a training step."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from stylegen.augment import Augmentation
from stylegen.losses import Loss
from stylegen.regularizers import Regularizer
from stylegen.training.blur import BlurRamp
from stylegen.training.ema import EMA
from stylegen.training.growth import Growth
from stylegen.training.optimizer import AdamSettings
from stylegen.training.precision import Precision


@dataclass(frozen=True)
class Objective:
    """The training objective: loss, regularizers, blur, augmentation.

    Attributes:
        loss: both sides of the adversarial loss.
        regularizers: name -> regularizer; each has its own interval.
        augment: applied to every image that the discriminator sees; None for none.
        blur: applied to these images before augmentation; None for none.
    """

    loss: Loss
    regularizers: Mapping[str, Regularizer] = field(default_factory=dict)
    augment: Augmentation | None = None
    blur: BlurRamp = field(default_factory=BlurRamp)


@dataclass(frozen=True)
class StepOptions:
    """Optimization options of a training step.

    Attributes:
        optimizer: Adam's settings before the correction for lazy regularization.
        ema: updates `G_ema`.
        w_avg_decay: decay of the running mean of w per step.
        batch_per_device: images of a micro-batch, a divisor of this rank's share; None for the whole share.
        precision: type of G's and D's computation; G_ema and the optimizers are always float32.
        growth: schedule of resolution, alpha and batch size; None for networks of a fixed resolution.
        frozen: names of the discriminator's frozen parameters.
        d_steps_per_g_step: steps of the discriminator for each step of the generator.
        bad_steps: training counts as diverged after this many consecutive steps with non-finite gradients.
    """

    optimizer: AdamSettings = field(default_factory=AdamSettings)
    ema: EMA = field(default_factory=EMA)
    w_avg_decay: float = 0.998
    batch_per_device: int | None = None
    precision: Precision | None = None
    growth: Growth | None = None
    frozen: Collection[str] = ()
    d_steps_per_g_step: int = 1
    bad_steps: int = 16
