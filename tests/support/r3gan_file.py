"""Writes files in the structure of R3GAN's, from golden weights and without its code: whole modules, pickled."""

import contextlib
import pickle
import re
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.support.golden import Golden

# Class path by the name of a module, in the published files; the first pattern that matches its end.
_CLASSES = [
    (r"", "training.networks", "{}"),
    (r"Model", "R3GAN.Networks", "{}"),
    (r".*(MainLayers|Layers)", "torch.nn.modules.container", "ModuleList"),
    (r".*MainLayers\.\d+", "R3GAN.Networks", "{}Stage"),
    (r".*LinearLayer\d|.*(Aggregation|Extraction)Layer", "R3GAN.Networks", "Convolution"),
    (r".*\.Layer|.*Basis", "torch.nn.modules.conv", "Conv2d"),
    (r".*NonLinearity\d", "R3GAN.FusedOperators", "BiasedActivationCUDA"),
    (r".*Resampler", "R3GAN.Resamplers", "InterpolativeUpsamplerCUDA"),
    (r".*(Embedding|Linear)Layer", "torch.nn.modules.linear", "Linear"),
    (r".*Layers\.\d+", "R3GAN.Networks", "ResidualBlock"),
]


def r3gan_file(path: Path, golden: Golden, changed: Mapping[str, Tensor] | None = None) -> Path:
    """A pickle of `G`, `D` and `G_ema` with the weights of a golden file; `changed` tensors of G are added."""
    config, row = golden.config["generator"], torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    state = {"z_dim": config["NoiseDimension"], "c_dim": config["c_dim"], "img_resolution": config["img_resolution"]}
    kernels = {"Model.MainLayers.1.Layers.0.Resampler.Kernel": row.outer(row)}
    tensors = golden.part("G.") | kernels | dict(changed or {})
    with _foreign_classes() as classes:
        G, D = _module(classes, "Generator", tensors, state), _module(classes, "Discriminator", golden.part("D."), {})
        content = {"G": G, "D": D, "G_ema": G, "training_set_kwargs": {"path": "x"}, "cur_nimg": 5}
        path.write_bytes(pickle.dumps(content))
    return path


class _Classes(dict[tuple[str, str], Any]):
    """Classes by foreign module and name, created on demand."""

    def __missing__(self, key: tuple[str, str]) -> Any:
        module, name = key
        self[key] = made = type(name, (), {"__module__": module, "__qualname__": name})
        setattr(sys.modules[module], name, made)
        return made


@contextlib.contextmanager
def _foreign_classes() -> Iterator[_Classes]:
    """Context manager: classes pickle under their foreign names. torch.nn's are replaced while it lasts."""
    names = {module for _, module, _ in _CLASSES}
    before = {name: sys.modules.get(name) for name in [*names, "training", "R3GAN"]}
    try:
        for name in before:
            sys.modules[name] = types.ModuleType(name)
        yield _Classes()
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _module(classes: _Classes, network: str, tensors: Mapping[str, Tensor], state: dict[str, Any]) -> Any:
    """The module tree of dotted names; tensors named `Kernel` are buffers."""
    made: dict[str, Any] = {}

    def at(name: str) -> Any:
        if name not in made:
            module, kind = next((m, k) for p, m, k in _CLASSES if re.fullmatch(p, name))
            made[name] = found = classes[module, kind.format(network)]()
            found.__dict__ |= {"training": False, "_parameters": OrderedDict(), "_buffers": OrderedDict()}
            found.__dict__ |= {"_modules": OrderedDict(), "_non_persistent_buffers_set": set()}
            if name:
                parent, _, own = name.rpartition(".")
                at(parent)._modules[own] = found
        return made[name]

    for name, tensor in tensors.items():
        owner, _, own = name.rpartition(".")
        if own == "Kernel":
            at(owner)._buffers[own] = tensor
        else:
            at(owner)._parameters[own] = nn.Parameter(tensor, requires_grad=False)
    at("").__dict__ |= state
    return at("")
