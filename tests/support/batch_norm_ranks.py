"""One of two processes with half of a batch each: `python -m tests.support.batch_norm_ranks FOLDER RANK`."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from stylegen.layers.conditioning import CONDITIONINGS, batch_statistics
from tests.support.conditioning_layers import condition_for, make

BATCH = 4


def results(part: slice) -> dict[str, Tensor]:
    """Layer -> output, first and second gradients of a loss that couples the samples, running statistics."""
    found: dict[str, Tensor] = {}
    for name in CONDITIONINGS:
        layer = make(name)
        torch.manual_seed(7)
        x, v = torch.randn(BATCH, 3, 2, 3, dtype=torch.float64) * 2 + 1, condition_for(name, BATCH)
        weights = torch.randn(x.shape, dtype=torch.float64)
        x, v, weights = (t[part].contiguous().requires_grad_() for t in (x, v, weights))
        y = layer(x, v)
        first = torch.autograd.grad((y.pow(3) * weights).sum(), (x, v), create_graph=True, materialize_grads=True)
        parameters = list(layer.parameters())
        second = torch.autograd.grad(
            sum(g.square().sum() for g in first), (x, v, *parameters), materialize_grads=True, allow_unused=True
        )
        values = [y, *first, *second[:2]]
        found |= {f"{name}/{k}": t.detach() for k, t in zip(("y", "dx", "dv", "ddx", "ddv"), values, strict=True)}
        found |= {f"{name}/parameter{i}": g.detach() for i, g in enumerate(second[2:])}
        for norm in batch_statistics(layer):
            found |= {f"{name}/mean": norm.running_mean, f"{name}/var": norm.running_var}
    return found


if __name__ == "__main__":
    folder, rank = Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.save(results(slice(rank, None, 2)), folder / f"{rank}.pt")
    dist.destroy_process_group()
