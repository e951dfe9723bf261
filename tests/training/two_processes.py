"""A tiny training in float64: `python -m tests.training.two_processes OUT DEVICES [BATCH_PER_DEVICE [OVERRIDES]]`.

A BATCH_PER_DEVICE of 0 stands for the whole share.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from stylegen.augment.draws import KeyedAugmentDraws
from stylegen.images import to_float
from stylegen.training.datamodule import TrainingData
from stylegen.training.strategy import FlatAllReduce
from stylegen.verbs.build import build_dataset, build_module
from stylegen.verbs.config import compose_config
from tests.tiny import TINY_RUN

STEPS, BATCH = 5, 16
# With the default of 1e-8 Adam divides a gradient that is 0 but for rounding by 1e-8, and the weights after it are as
# far apart as the learning rate allows. With this one a step passes a difference on times lr / eps, which is 2.5.
EPS = "optimizer.eps=1e-3"


def assert_same_state(state: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Equal up to the order of sums in float64: 2^-53 for each of 2^16 terms or fewer is 1e-11 of the largest sum, and
    a few steps of Adam pass it on times 2.5 each."""
    assert state.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(state[name], tensor, rtol=1e-10, atol=1e-13, msg=name)


class Double:
    """Anything that returns tensors, returning them in float64."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: double(getattr(self.inner, name)(*arguments))


def double(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.double() if value.is_floating_point() else value
    if isinstance(value, KeyedAugmentDraws):
        return Double(value)
    return [double(v) for v in value] if isinstance(value, list | tuple) else value


class DoubleImages:
    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dataset, name)

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        images, labels = self.dataset.batch(indices)
        return to_float(images).double(), labels.double()


def main(out: Path, devices: int, batch_per_device: int = 0, *more: str) -> None:
    torch.set_num_threads(1)
    augment = ["augment=ada", "augment.preset=bgcfnc", "augment.p=0.5", "augment.speed_kimg=0.2"]
    overrides = ["regularizers=r1_path_length", f"batch_size={BATCH}", "data.use_labels=true", *augment]
    overrides += [f"batch_per_device={batch_per_device or 'null'}", EPS]
    config = compose_config("train", [*TINY_RUN, *overrides, *more])
    dataset = build_dataset(config)
    module = build_module(config, dataset).double()
    for name, parameter in [*module.G.named_parameters(), *module.G_ema.named_parameters()]:
        if name.endswith("strength"):  # from 0, an instance norm would take out all that precedes it
            parameter.data.fill_(1.0)
    module.draws = Double(module.draws)
    batch = BATCH if module.growth is None else module.growth.batch_at
    data = TrainingData(DoubleImages(dataset), batch, STEPS * BATCH, seed=0)
    trainer = L.Trainer(
        accelerator="cpu", devices=devices, strategy=FlatAllReduce() if devices > 1 else "auto", max_epochs=1,
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False, default_root_dir=out.parent,
    )  # fmt: skip
    trainer.fit(module, data)
    statistics = module.statistics.collect()
    if trainer.is_global_zero:
        torch.save({"state": module.state_dict(), "statistics": statistics}, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:4]), *sys.argv[4:])
