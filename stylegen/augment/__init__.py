"""Augmentations of the discriminator's input, by name."""

from collections.abc import Callable

from stylegen.augment.augment_inputs import AugmentInputs as AugmentInputs
from stylegen.augment.augmentation import Augmentation as Augmentation
from stylegen.augment.augmentation import Controller as Controller
from stylegen.augment.augmentation import Pipeline
from stylegen.augment.diffaugment import DiffAugment
from stylegen.augment.pipeline import AdaPipeline

AUGMENTS: dict[str, Callable[..., Pipeline]] = {"ada": AdaPipeline, "diffaugment": DiffAugment}
