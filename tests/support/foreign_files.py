"""Writes files in the structure of other StyleGAN programs, from golden weights and without those programs.

Class paths, reduce calls, nested records and argument names equal the published files'; docs/formats.md describes
them.
"""

import contextlib
import pickle
import re
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.support.golden import Golden

BUFFERS = (
    *("noise_const", "resample_filter", "w_avg", "up_filter", "down_filter", "freqs", "phases", "transform"),
    "magnitude_ema",
)


class EasyDict(dict):
    """Pickles as `dnnlib.util.EasyDict`."""


class Network:
    """Pickles as `dnnlib.tflib.network.Network`."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def __getstate__(self) -> dict[str, Any]:
        return self.state


class Module:
    """Pickles as a module of `torch_utils.persistence`: a call with the source of its class and its state."""

    def __init__(self, name: str, source: str) -> None:
        self.name, self.source = name, source
        self.state: dict[str, Any] = {"training": False, "_parameters": OrderedDict(), "_buffers": OrderedDict()}
        self.state |= {
            "_non_persistent_buffers_set": set(),
            "_backward_hooks": OrderedDict(),
            "_modules": OrderedDict(),
        }

    def __reduce__(self) -> tuple[Any, ...]:
        meta = {"type": "class", "version": 6, "module_src": self.source, "class_name": self.name, "state": self.state}
        return (_reconstruct_persistent_obj, (meta,), None)


def _reconstruct_persistent_obj(meta: dict[str, Any]) -> Any:
    raise AssertionError("a foreign function was called")


_FOREIGN = {
    "torch_utils.persistence": (_reconstruct_persistent_obj,),
    "dnnlib.util": (EasyDict,),
    "dnnlib.tflib.network": (Network,),
}


@contextlib.contextmanager
def foreign_modules() -> Iterator[None]:
    """Context manager: the classes above pickle under their foreign names."""
    names = {name.rpartition(".")[0] for name in _FOREIGN} | set(_FOREIGN) | {"dnnlib"}
    ours = {thing: thing.__module__ for things in _FOREIGN.values() for thing in things}
    try:
        for name in names:
            sys.modules[name] = types.ModuleType(name)
        for name, things in _FOREIGN.items():
            for thing in things:
                thing.__module__ = name
                setattr(sys.modules[name], thing.__name__, thing)
        yield
    finally:
        for name in names:
            del sys.modules[name]
        for thing, module in ours.items():
            thing.__module__ = module


def dump(value: Any, path: Path, protocol: int = 4) -> Path:
    """Write a pickle with the foreign names."""
    with foreign_modules(), path.open("wb") as file:
        pickle.dump(value, file, protocol=protocol)
    return path


def module_of(state: Mapping[str, Tensor], arguments: Mapping[str, Any], name: str, source: str) -> Module:
    """A pickled network of NVIDIA's PyTorch code with these tensors."""
    root = Module(name, source)
    root.state |= {"_init_args": (), "_init_kwargs": EasyDict(_easy(arguments))}
    for full, tensor in state.items():
        *parents, last = full.split(".")
        module = root
        for parent in parents:
            module = module.state["_modules"].setdefault(parent, Module(f"Layer_{parent}", source))
        if last in BUFFERS:
            module.state["_buffers"][last] = tensor
        else:
            module.state["_parameters"][last] = torch.nn.Parameter(tensor)
            module.state |= {"conv_clamp": 256, "weight_gain": np.float64(0.5), "activation": "lrelu"}
    return root


def _easy(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {key: EasyDict(value) if isinstance(value, dict) else value for key, value in arguments.items()}


def nvidia_file(golden: Golden, path: Path, protocol: int = 4, source: str = "import nothing") -> Path:
    """`G`, `D`, `G_ema` as stylegan2-ada-pytorch and stylegan3 write them."""
    generator, discriminator = golden.config["generator"], golden.config["discriminator"]
    # conv_clamp is left to the modules' attributes, as in files of stylegan3
    networks = {
        "G": module_of({k: v * 1.5 for k, v in golden.part("G.").items()}, generator, "Generator", source),
        "D": module_of(golden.part("D."), discriminator, "Discriminator", source),
        "G_ema": module_of(
            golden.part("G."), {k: v for k, v in generator.items() if k != "conv_clamp"}, "Generator", source
        ),
    }
    dataset = EasyDict(class_name="training.dataset.ImageFolderDataset", path="data.zip", resolution=32)
    return dump(networks | {"augment_pipe": None, "training_set_kwargs": dataset}, path, protocol)


def rosinality_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A generator under rosinality's names; the reference's are NVIDIA's."""
    found: dict[str, Tensor] = {}
    layer = {"weight": "conv.weight", "bias": "activate.bias", "noise_strength": "noise.weight"}
    for name, tensor in state.items():
        if match := re.fullmatch(r"mapping\.fc(\d+)\.(.+)", name):
            found[f"style.{int(match[1]) + 1}.{match[2]}"] = tensor
        elif match := re.fullmatch(r"synthesis\.b(\d+)\.(conv\d|torgb)\.(.+)", name):
            step, part = int(match[1]).bit_length() - 3, match[3].replace("affine", "conv.modulation")
            number = 2 * step - 2 + int(match[2][-1] == "1")
            if part == "noise_const":
                found[f"noises.noise_{number + 1}"] = tensor[None, None]
            elif match[2] == "torgb":
                prefix, part = f"to_rgbs.{step - 1}" if step else "to_rgb1", "conv.weight" if part == "weight" else part
                found[f"{prefix}.{part}"] = (
                    tensor[None] if part == "conv.weight" else tensor.reshape(1, -1, 1, 1) if part == "bias" else tensor
                )
            else:
                ours = layer.get(part, part)
                shaped = tensor[None] if part in ("weight", "noise_strength") else tensor
                found[f"{f'convs.{number}' if step else 'conv1'}.{ours}"] = shaped
        elif name == "synthesis.b4.const":
            found["input.input"] = tensor[None]
    kernel = torch.outer(*[torch.tensor([1.0, 3.0, 3.0, 1.0])] * 2) / 64
    return found | {"convs.0.conv.blur.kernel": kernel * 4, "to_rgbs.0.upsample.kernel": kernel * 4}


def rosinality_discriminator_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A residual discriminator under rosinality's names."""
    sides = sorted({int(name.split(".")[0][1:]) for name in state}, reverse=True)
    start = {"fromrgb.weight": "0.0.weight", "fromrgb.bias": "0.1.bias"}
    blocks = {"conv0.weight": "conv1.0.weight", "conv0.bias": "conv1.1.bias", "conv1.weight": "conv2.1.weight"}
    blocks |= {"conv1.bias": "conv2.2.bias", "skip.weight": "skip.1.weight"}
    last = {"conv.weight": "final_conv.0.weight", "conv.bias": "final_conv.1.bias"}
    last |= {f"{a}.{p}": f"final_linear.{b}.{p}" for a, b in (("fc", 0), ("out", 1)) for p in ("weight", "bias")}
    found = {}
    for name, tensor in state.items():
        side, part = name.split(".", 1)
        if side == "b4":
            found[last[part]] = tensor
        elif part in start:
            found[f"convs.{start[part]}"] = tensor
        elif part in blocks:
            found[f"convs.{sides.index(int(side[1:])) + 1}.{blocks[part]}"] = tensor
    return found


def genforce_stylegan2_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A generator under GenForce's names; up-sampling kernels are mirrored and styles lack their initial bias."""
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        match = re.fullmatch(r"synthesis\.b(\d+)\.(conv\d|torgb)\.(.+)", name)
        if match is None:
            name = name.replace("mapping.fc", "mapping.dense").replace("mapping.w_avg", "truncation.w_avg")
            const = name == "synthesis.b4.const"
            found["synthesis.early_layer.const" if const else name] = tensor[None] if const else tensor
            continue
        step, part = int(match[1]).bit_length() - 3, match[3].replace("affine", "style").replace("noise_const", "noise")
        layer = f"output{step}" if match[2] == "torgb" else f"layer{2 * step - int(match[2] == 'conv0')}"
        if match[2] == "conv0" and part == "weight":
            tensor = tensor.flip(2, 3)
        shaped = {"style.bias": tensor - 1, "noise": tensor[None, None]}.get(part, tensor)
        found[f"synthesis.{layer}.{part}"] = shaped
    return found | {"synthesis.upsample.kernel": torch.ones(1, 1, 4, 4)}


def genforce_stylegan2_discriminator_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A residual discriminator under GenForce's names."""
    sides = sorted({int(name.split(".")[0][1:]) for name in state}, reverse=True)
    found = {}
    for name, tensor in state.items():
        side, layer, part = name.split(".")
        step = sides.index(int(side[1:]))
        number = {"conv0": 0, "conv1": 1, "conv": 0, "fc": 1, "out": 2}.get(layer, 0) + 2 * step
        prefix = {"fromrgb": "input0", "skip": f"skip_layer{step}"}.get(layer, f"layer{number}")
        found[f"{prefix}.{part}"] = tensor
    return found


def tensorflow_network(variables: Mapping[str, np.ndarray], arguments: Mapping[str, Any], function: str) -> Network:
    """A network of `dnnlib.tflib`; variables of components have their name as prefix ("synthesis/...")."""
    parts: dict[str, list[tuple[str, np.ndarray]]] = {"": [], "mapping": [], "synthesis": []}
    for name, value in variables.items():
        start, _, rest = name.partition("/")
        parts[start if start in parts else ""].append((rest if start in parts else name, value))

    def network(name: str, pairs: list[tuple[str, np.ndarray]], components: dict[str, Network]) -> Network:
        state = {"version": 4, "name": name, "static_kwargs": dict(arguments), "components": components}
        return Network(
            state | {"build_module_src": "raise SystemExit", "build_func_name": function, "variables": pairs}
        )

    components = {name: network(f"G_{name}", pairs, {}) for name, pairs in parts.items() if name and pairs}
    return network("G", parts[""], components)


def tensorflow_stylegan2(golden: Golden) -> tuple[Network, Network, Network]:
    """(G, D, Gs) as NVIDIA's stylegan2 writes them; labels as in stylegan2-ada."""
    variables: dict[str, np.ndarray] = {"lod": np.float32(0)}  # type: ignore[dict-item]
    for name, tensor in golden.part("G.").items():
        value, (module, part) = tensor.numpy(), name.rpartition(".")[::2]
        if name == "mapping.w_avg":
            variables["dlatent_avg"] = value
        elif match := re.fullmatch(r"mapping\.(fc|embed)(\d*)", module):
            key = f"mapping/{'Dense' if match[1] == 'fc' else 'LabelEmbed'}{match[2]}/{part}"
            variables[key] = value.T if part == "weight" else value
        elif name == "synthesis.b4.const":
            variables["synthesis/4x4/Const/const"] = value[None]
        else:
            variables.update(_tensorflow_layer(module, part, value))
    arguments = _tensorflow_arguments(golden.config["generator"])
    critic: dict[str, np.ndarray] = {}
    layers = {"fromrgb": "FromRGB", "conv0": "Conv0", "conv1": "Conv1_down", "skip": "Skip", "conv": "Conv"}
    layers |= {"fc": "Dense0", "embed": "LabelEmbed"}
    for name, tensor in golden.part("D.").items():
        block, layer, part = name.split(".")
        where = f"{block[1:]}x{block[1:]}/" if block != "mapping" else ""
        key = (
            f"Output/{part}" if layer == "out" else f"{where}{layers.get(layer, layer.replace('fc', 'Mapping'))}/{part}"
        )
        critic[key] = _channels_last(tensor.numpy()) if part == "weight" else tensor.numpy()
    D = tensorflow_network(critic, _tensorflow_arguments(golden.config["discriminator"]), "D_stylegan2")
    G = tensorflow_network(variables, arguments, "G_main")
    return G, D, G


def _channels_last(value: np.ndarray) -> np.ndarray:
    """[O, I, H, W] -> [H, W, I, O], [O, I] -> [I, O]."""
    return np.ascontiguousarray(value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T)


def _tensorflow_layer(module: str, part: str, value: np.ndarray) -> dict[str, np.ndarray]:
    match = re.fullmatch(r"synthesis\.b(\d+)\.(conv0|conv1|torgb|skip)(\.affine)?", module)
    assert match
    side, layer = int(match[1]), match[2]
    if part == "noise_const":
        return {f"synthesis/noise{2 * (side.bit_length() - 3) - int(layer == 'conv0')}": value[None, None]}
    names = {"conv0": "Conv0_up", "conv1": "Conv1" if side > 4 else "Conv", "torgb": "ToRGB", "skip": "Skip"}
    if match[3]:
        value = value - 1 if part == "bias" else value.T
    elif part == "weight":
        value = value[:, :, ::-1, ::-1] if layer in ("conv0", "skip") else value
        value = _channels_last(value)
    return {f"synthesis/{side}x{side}/{names[layer]}/{'mod_' if match[3] else ''}{part}": np.array(value)}


def _tensorflow_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    names = {"z_dim": "latent_size", "c_dim": "label_size", "w_dim": "dlatent_size", "img_resolution": "resolution"}
    names |= {"img_channels": "num_channels", "channel_max": "fmap_max", "conv_clamp": "conv_clamp"}
    found = {names[key]: value for key, value in config.items() if key in names}
    found |= {"architecture": config["architecture"], "fmap_base": config["channel_base"] // 2}
    found |= {"mapping_layers": config["mapping_kwargs"]["num_layers"]} if "mapping_kwargs" in config else {}
    if "z_dim" in config:
        found |= {"truncation_psi": 0.5, "style_mixing_prob": 0.9, "dlatent_avg_beta": 0.995}
    elif config["c_dim"]:
        found |= {"mapping_layers": 8, "mapping_lrmul": 0.01}
    return found


def tensorflow_stylegan1(golden: Golden) -> tuple[Network, Network, Network]:
    """(G, D, Gs) as NVIDIA's stylegan writes them, from GenForce's names."""
    generator, critic = golden.config["generator"], golden.config["discriminator"]
    top = generator["resolution"].bit_length() - 3
    variables: dict[str, np.ndarray] = {}
    for name, tensor in golden.part("G.").items():
        value = tensor.numpy()
        if match := re.fullmatch(r"mapping\.dense(\d)\.(\w+)", name):
            variables[f"mapping/Dense{match[1]}/{match[2]}"] = value.T if match[2] == "weight" else value
        elif match := re.fullmatch(r"synthesis\.output(\d)\.(\w+)", name):
            value = _channels_last(value) if match[2] == "weight" else value
            variables[f"synthesis/ToRGB_lod{top - int(match[1])}/{match[2]}"] = value
        elif match := re.fullmatch(r"synthesis\.layer(\d+)\.(.+)", name):
            variables.update(_stylegan1_layer(int(match[1]), match[2], value))
        else:
            names = {"truncation.w_avg": "dlatent_avg", "mapping.label_weight": "mapping/LabelConcat/weight"}
            variables[names.get(name, "lod")] = value
    found: dict[str, np.ndarray] = {}
    ends = {2 * top: "4x4/Conv", 2 * top + 1: "4x4/Dense0", 2 * top + 2: "4x4/Dense1"}
    for name, tensor in golden.part("D.").items():
        value = _channels_last(tensor.numpy()) if name.endswith("weight") else tensor.numpy()
        if name == "lod":
            found["lod"] = value
            continue
        layer, part = name.split(".")
        kind, number = re.fullmatch(r"(\D+)(\d+)", layer).groups()  # type: ignore[union-attr]
        side = generator["resolution"] >> int(number) // 2
        inner = ends.get(int(number), f"{side}x{side}/{('Conv0', 'Conv1_down')[int(number) % 2]}")
        found[f"FromRGB_lod{number}/{part}" if kind == "input" else f"{inner}/{part}"] = value
    G = tensorflow_network(variables, _stylegan1_arguments(generator), "G_style")
    return G, tensorflow_network(found, _stylegan1_arguments(critic), "D_basic"), G


def _stylegan1_layer(layer: int, part: str, value: np.ndarray) -> dict[str, np.ndarray]:
    side = 4 << layer // 2
    inner = ("Const", "Conv")[layer] if layer < 2 else ("Conv0_up", "Conv1")[layer % 2]
    names = {"const": "const", "bias": "bias", "weight": "weight", "apply_noise.weight": "Noise/weight"}
    names |= {"style.weight": "StyleMod/weight", "style.bias": "StyleMod/bias"}
    if part == "apply_noise.noise":
        return {f"synthesis/noise{layer}": value}
    value = _channels_last(value) if part in ("weight", "style.weight") else value
    return {f"synthesis/{side}x{side}/{inner}/{names[part]}": value}


def _stylegan1_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    names = {"z_space_dim": "latent_size", "w_space_dim": "dlatent_size", "mapping_lr_mul": "mapping_lrmul"}
    names |= {"fmaps_max": "fmap_max", "minibatch_std_group_size": "mbstd_group_size"}
    same = ("resolution", "label_size", "mapping_layers", "mapping_fmaps", "fused_scale")
    found = {names.get(key, key): value for key, value in config.items() if key in (*names, *same)}
    return found | {"num_channels": 3, "fmap_base": config["fmaps_base"] // 2}
