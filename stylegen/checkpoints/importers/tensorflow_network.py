"""Networks in NVIDIA's TensorFlow pickles (`dnnlib.tflib.network.Network`), as records: variables and arguments."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from stylegen.bounds import brief
from stylegen.checkpoints.importers.foreign_model import Inexpressible, check_plain
from stylegen.checkpoints.pickle_data import Record, Refused

Rules = Mapping[str, Any]
_MAX_VARIABLES = 20_000  # published networks have up to 500
ANY = object()  # an argument that does not affect the trained network


def kernel(tensor: Tensor) -> Tensor:
    """[H, W, I, O] -> [O, I, H, W]."""
    return tensor.permute(3, 2, 0, 1)


def transposed(tensor: Tensor) -> Tensor:
    """[I, O] -> [O, I]."""
    return tensor.permute(1, 0)


# Rows for `foreign_model.rename` that StyleGAN and StyleGAN2 have in common.
MAPPING_ROWS: list[tuple[Any, ...]] = [
    (r"(synthesis/)?lod", None),
    (r"dlatent_avg", "mapping.w_avg"),
    (r"mapping/Dense(\d+)/weight", r"mapping.layers.\1.weight", transposed),
    (r"mapping/Dense(\d+)/bias", r"mapping.layers.\1.bias"),
]
DISCRIMINATOR_ROWS: list[tuple[Any, ...]] = [
    (r"4x4/Conv/weight", "epilogue.conv.weight", kernel),
    (r"4x4/Conv/bias", "epilogue.conv.bias"),
    (r"4x4/Dense0/weight", "epilogue.fc.weight", transposed),
    (r"4x4/Dense0/bias", "epilogue.fc.bias"),
    (r"(\d+)x\1/Conv0/weight", r"blocks.\1.conv0.weight", kernel),
    (r"(\d+)x\1/Conv0/bias", r"blocks.\1.conv0.bias"),
    (r"(\d+)x\1/Conv1_down/weight", r"blocks.\1.conv1.weight", kernel),
]


def networks_of(content: Any) -> tuple[Record, Record, Record] | None:
    """G, D and Gs (the EMA of G) of such a file, or None."""
    if isinstance(content, tuple | list) and len(content) == 3 and all(map(_is_network, content)):
        return content[0], content[1], content[2]
    return None


def _is_network(value: Any) -> bool:
    return isinstance(value, Record) and value.module == "dnnlib.tflib.network" and isinstance(value.state, dict)


def variables(network: Record, prefix: str = "") -> dict[str, Tensor]:
    """Variables by name; a component's name precedes its variables' ("synthesis/4x4/Conv/weight")."""
    pairs, components = network.state.get("variables", []), network.state.get("components") or {}
    found: dict[str, Tensor] = {}
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], str):
            raise Refused("a network has variables without names")
        if isinstance(pair[1], Tensor | float | int):
            if len(found) >= _MAX_VARIABLES:
                raise Refused(f"a network has more than {_MAX_VARIABLES:,} variables")
            found[prefix + pair[0]] = pair[1] if isinstance(pair[1], Tensor) else Tensor([pair[1]])[0]
    for name, component in components.items():
        if _is_network(component) and not prefix:  # a generator has two components, and these have none
            found.update(variables(component, f"{name}/"))
    return found


def settings_of(network: Record, names: Mapping[str, str], fixed: Rules) -> dict[str, Any]:
    """The network's arguments under our names.

    Args:
        names: their argument -> ours.
        fixed: their argument -> the only value that our network has, or `ANY`.

    Raises:
        Inexpressible: an argument without a counterpart.
    """
    settings = {}
    arguments = network.state.get("static_kwargs") or {}
    check_plain(arguments)
    for name, value in arguments.items():
        if name in names:
            settings[names[name]] = value
        elif name not in fixed or (fixed[name] is not ANY and value != fixed[name]):
            raise Inexpressible(
                f"{brief(name)}={brief(value)}", "this setting of the foreign network has no counterpart here"
            )
    return settings


def function_of(network: Record) -> str:
    """Name of the function that built the network, such as "D_stylegan2"."""
    return str(network.state.get("build_func_name", "")).rpartition(".")[2]
