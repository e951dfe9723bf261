"""Tiny trainings in float64 on two processes, one after another, because starting processes takes longer than training.

    torchrun --standalone --nproc-per-node=2 -m tests.support.two_processes FOLDER

The results of `CASES` are FOLDER/<case>.pt, the gradients of all losses on rank r FOLDER/losses<r>.pt, the
training with all regularizers is FOLDER/regularizers.pt. The trainings of `change_processes` follow.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from stylegen.config.compose import compose_config
from stylegen.distributed import is_rank0, process_group, rank, world_size
from stylegen.runs.build import build_dataset, build_step
from stylegen.training.batches import TrainingData
from stylegen.training.compilation import CompiledTerms, rare_terms
from tests.support import change_processes, regularized_steps
from tests.support.double import EPS, Double, DoubleImages
from tests.support.loss_gradients import VARIANTS, gradients
from tests.support.tiny import TINY_RUN

STEPS, BATCH = 5, 16
STYLEGAN1 = ("generator=stylegan1", "discriminator=stylegan1")
GROWING = ("growth=stylegan1", "growth.stable_kimg=0.03", "growth.fade_kimg=0.03", "growth.batch_sizes=[16,16]")
STYLEGAN3 = ("generator=stylegan3", "generator.num_layers=2", "generator.num_critical=1", "generator.margin_size=1")
BLUR = ("blur.sigma=2", "blur.fade_kimg=0.06")
# batch_per_device (0 for the whole share), and settings.
CASES: dict[str, tuple[int, Sequence[str]]] = {
    "whole": (0, ()),
    "micro_batches": (4, ()),
    "batch_norm": (0, (*STYLEGAN1, "generator.conditioning=batch_film")),
    "growth": (0, (*STYLEGAN1, *GROWING)),
    "stylegan3": (4, (*STYLEGAN3, *BLUR)),
    "compiled": (4, ("augment=none", "compile=true")),
}
AUGMENT = ("augment=ada", "augment.preset=bgcfnc", "augment.p=0.5", "augment.speed_kimg=0.2")


def train(out: Path, batch_per_device: int = 0, more: Sequence[str] = ()) -> dict[str, Any]:
    """Train from the start -> the weights and statistics, on rank 0 also in `out`.

    A `batch_per_device` of 0 is the rank's whole share.
    """
    torch.set_num_threads(1)
    overrides = ["regularizers=r1_path_length", f"batch_size={BATCH}", "data.use_labels=true"]
    overrides += [
        f"batch_per_device={batch_per_device or 'null'}",
        EPS,
        *(AUGMENT if "augment=none" not in more else ()),
    ]
    tiny = [o for o in TINY_RUN if "generator=stylegan3" not in more or not o.startswith("generator.use_noise")]
    config = compose_config("train", [*tiny, *overrides, *more])
    dataset = build_dataset(config)
    step = build_step(config, dataset).to(torch.float64)
    for name, parameter in [*step.G.named_parameters(), *step.G_ema.named_parameters()]:
        if name.endswith("strength"):  # starting from 0, an instance norm would remove everything before it
            parameter.data.fill_(1.0)
    step.random_inputs = Double(step.random_inputs)
    if config.compile is True or config.compile == "true":  # by Dynamo, without generating kernels
        step.evaluate = CompiledTerms(print, eager=rare_terms(step.phases), backend="eager")
    batch = BATCH if step.growth is None else step.growth.batch_at
    data = TrainingData(DoubleImages(dataset), batch, STEPS * BATCH, seed=0)
    for images, labels in data.batches(0, 0, torch.device("cpu")):
        step(images, labels)
    result = {"state": step.modules.state_dict(), "statistics": step.statistics.collect()}
    if is_rank0():
        torch.save(result, out)
    return result


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with process_group(torch.device("cpu")):
        for case, (batch_per_device, settings) in CASES.items():
            train(folder / f"{case}.pt", batch_per_device, settings)
        found = {name: gradients(loss, rank(), world_size(), micro_batch=2) for name, loss in VARIANTS.items()}
        torch.save(found, folder / f"losses{rank()}.pt")
        regularized = regularized_steps.train(regularized_steps.regularized_step(micro_batch=2), 3)
        if is_rank0():
            torch.save(regularized, folder / "regularizers.pt")
        change_processes.begin_and_continue(folder)
