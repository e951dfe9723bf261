"""Gradients of every loss over one batch, on any number of processes and micro-batches."""

import copy
from typing import Any

import torch
from torch import Tensor

from stylegen import randomness
from stylegen.distributed import average_gradients
from stylegen.losses import LOSSES, Loss
from stylegen.networks.discriminator_heads import HEADS
from stylegen.networks.stylegan2_discriminator import Discriminator
from stylegen.training.random_inputs import KeyedRandomInputs
from stylegen.training.step import Objective, StepOptions, TrainingStep
from tests.support.double import Double
from tests.support.tiny import tiny_generator

BATCH, RESOLUTION, CLASSES = 8, 8, 3
# Losses with default and with other arguments.
VARIANTS: dict[str, Loss] = {name: loss() for name, loss in LOSSES.items()}
VARIANTS["relativistic average"] = LOSSES["relativistic"](pairing="average")
VARIANTS["relativistic least squares"] = LOSSES["relativistic"](pairing="average", kind="least_squares")
VARIANTS["relativistic hinge"] = LOSSES["relativistic"](pairing="average", kind="hinge")
VARIANTS["began"].k.fill_(0.3)  # 0 would hide half of its loss


def critic_for(loss: Loss) -> Discriminator:
    """A discriminator with the head that the loss needs; for the hinge loss, with the random inputs of every option."""
    settings: dict[str, Any] = {"head": next(iter(loss.heads), "auto"), "head_dim": 4}
    if settings["head"] in HEADS and HEADS[settings["head"]].needs_labels:
        settings["num_classes"] = CLASSES
    if loss is VARIANTS["hinge"]:
        settings |= {"head": "bottleneck", "dropout": [0.5], "attention_resolution": 4}
    with randomness.seeded_construction(0, "critic"):
        critic = Discriminator(RESOLUTION, channel_base=64, channel_max=8, mbstd_group_size=2, **settings)
    if critic.attention is not None:
        critic.attention.gamma.data.fill_(1.0)  # 0 would hide its inputs
    return critic


def gradients(loss: Loss, rank: int = 0, ranks: int = 1, micro_batch: int | None = None) -> dict[str, Tensor]:
    """Gradients after the main phases of generator and discriminator, averaged over ranks, by phase and parameter."""
    critic = critic_for(loss)
    random_inputs, options = (
        Double(KeyedRandomInputs(0, 8, torch.eye(CLASSES))),
        StepOptions(batch_per_device=micro_batch),
    )
    objective = Objective(copy.deepcopy(loss))
    step = TrainingStep(tiny_generator(RESOLUTION), critic, objective, random_inputs, options).to(torch.float64)
    images = randomness.normal(0, "images", torch.arange(BATCH), (3, RESOLUTION, RESOLUTION)).double()[rank::ranks]
    labels = torch.eye(CLASSES).double()[torch.arange(BATCH) % CLASSES]
    labels[::4] = 0  # without label
    batches = step._micro_batches(images, labels[rank::ranks])
    found = {}
    for phase in step.phases:
        network = step.G if phase.network == "G" else step.D
        network.requires_grad_(True)
        phase.backward(batches, list(network.parameters()))
        network.requires_grad_(False)
        average_gradients(network.parameters())
        found |= {f"{phase.name}/{name}": p.grad for name, p in network.named_parameters() if p.grad is not None}
    return found


def assert_same_gradients(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Equal up to float64 rounding in sums of fewer than 2^16 terms, bounded by the phase's largest gradient."""
    assert found.keys() == expected.keys()
    assert {name.split("/")[0] for name in found} == {"G_main", "D_main"}
    for phase in ("G_main", "D_main"):
        names = [name for name in expected if name.startswith(phase)]
        largest = max(expected[name].abs().max() for name in names)
        for name in names:
            assert (found[name] - expected[name]).abs().max() <= 2**16 * 2**-53 * largest, name
