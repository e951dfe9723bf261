"""Rules between the loss, the discriminator's head, and the labels."""

import torch

from stylegen.config.train_settings import TrainSettings
from stylegen.data.dataset import ImageDataset
from stylegen.errors import UserError
from stylegen.losses import LOSSES
from stylegen.networks.discriminator_heads import HEADS
from stylegen.one_hot import OneHot


def check_loss(config: TrainSettings, dataset: ImageDataset) -> None:
    """Raise UserError for a loss, a head and labels that do not fit together."""
    loss, critic = config.loss.name, config.discriminator
    head = critic.arguments.get("head", "auto")
    given = f"discriminator.head={head}" if "head" in critic.arguments else f"discriminator={critic.name}"
    heads = LOSSES[loss].heads
    if heads and head not in heads:
        own = "" if "head" in critic.arguments else "discriminator=stylegan2 "
        raise UserError(
            f"loss={loss} {given}",
            rule=f"this loss uses outputs of another head, {' or '.join(heads)}",
            fix=f"Use {own}discriminator.head={heads[0]}, or loss=nonsaturating",
        )
    users = [name for name, other in LOSSES.items() if head in other.heads]
    if users and loss not in users:
        raise UserError(
            f"loss={loss} {given}",
            rule=f"this loss does not train that head, which is for {' and '.join(users)}",
            fix=f"Use loss={users[0]}, or discriminator.head=auto",
        )
    if head in HEADS and HEADS[head].needs_labels and not dataset.spec.num_classes:
        raise UserError(
            f"{given} data.use_labels=false" + (f" loss={loss}" if users else ""),
            rule="this head needs labels",
            fix="Use data.use_labels=true with labeled data, or loss=nonsaturating discriminator.head=auto",
        )
    if config.growth is not None and head == "autoencoder":
        raise UserError(
            f"{given} with growth",
            rule="the decoder has a fixed resolution",
            fix="Use growth=none, or another loss and discriminator.head",
        )
    if dataset.labeled is not None and head not in ("classes", "classes_plus_fake"):
        raise UserError(
            f"data.labeled={len(dataset.labeled)} {given}",
            rule="only a discriminator that predicts labels can learn from images without one",
            fix="Use loss=semi_supervised discriminator.head=classes_plus_fake, or omit data.labeled",
        )
    if loss in ("auxiliary_classifier", "semi_supervised"):
        _check_targets(config, dataset)


def _check_targets(config: TrainSettings, dataset: ImageDataset) -> None:
    """The labels are one class or several attributes, as the loss expects."""
    labels, targets = dataset.labels(), config.loss.arguments.get("targets", "class")
    one = isinstance(labels, OneHot) or bool((labels >= 0).all() and torch.allclose(labels.sum(1), torch.ones(())))
    if targets == "class" and not one:
        raise UserError(
            f"loss={config.loss.name} with labels of several attributes",
            rule="its targets are one class for each image",
            fix="Use loss=auxiliary_classifier loss.targets=attributes discriminator.head=classes",
        )
    if targets != "attributes":
        return
    if dataset.labeled is not None:
        raise UserError(
            f"data.labeled={len(dataset.labeled)} loss.targets=attributes",
            rule="an image without label would count as one without any attribute",
            fix="Omit data.labeled, or use loss.targets=class with one class for each image",
        )
    if not isinstance(labels, OneHot) and not bool(((labels >= 0) & (labels <= 1)).all()):
        raise UserError(
            "loss.targets=attributes with labels outside [0, 1]",
            rule="the cross entropy needs probabilities",
            fix="Prepare the dataset with attributes from 0 to 1",
        )
