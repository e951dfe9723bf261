"""Augmentations by name, for what the discriminator sees. A new one is one file and one row here."""

from collections.abc import Callable

from stylegen.augment.augment_inputs import AugmentDraws as AugmentDraws
from stylegen.augment.augment_inputs import KeyedAugmentDraws as KeyedAugmentDraws
from stylegen.augment.augmentation import Augmentation as Augmentation
from stylegen.augment.augmentation import Pipeline
from stylegen.augment.controller import Controller as Controller
from stylegen.augment.diffaugment import DiffAugment
from stylegen.augment.pipeline import AdaPipeline

AUGMENTS: dict[str, Callable[..., Pipeline]] = {"ada": AdaPipeline, "diffaugment": DiffAugment}
