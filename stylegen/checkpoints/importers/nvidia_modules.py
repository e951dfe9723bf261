"""Pickled modules of NVIDIA's PyTorch code (`torch_utils.persistence`), as records: arguments, attributes, tensors."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

from stylegen.checkpoints.importers.foreign_model import Inexpressible, check_plain
from stylegen.checkpoints.pickle_data import Record, Refused
from stylegen.checkpoints.pickle_names import PERSISTENT

_MAX_MODULES = 10_000


def is_module(value: Any) -> bool:
    """Whether this is the record of a module of that code."""
    return isinstance(value, Record) and value.module == PERSISTENT and isinstance(value.state, dict)


def modules(root: Record, known: Callable[[Any], bool] = is_module) -> Iterator[tuple[str, Record]]:
    """The module and its submodules by dotted name, "" for itself. The reader has bounded the depth.

    Args:
        known: whether a value is a module.
    """
    stack, count = [("", root)], 1
    while stack:
        name, module = stack.pop()
        yield name, module
        children = {key: child for key, child in _part(module, "_modules").items() if known(child)}
        count += len(children)
        if count > _MAX_MODULES:
            raise Refused(f"a network has more than {_MAX_MODULES:,} modules")
        stack += [(f"{name}.{key}".lstrip("."), child) for key, child in children.items()]


def tensors(root: Record, known: Callable[[Any], bool] = is_module) -> dict[str, Tensor]:
    """Parameters and buffers by dotted name, as in a state dict; `known` as in `modules`."""
    return {
        f"{name}.{key}".lstrip("."): tensor
        for name, module in modules(root, known)
        for part in ("_parameters", "_buffers")
        for key, tensor in _part(module, part).items()
        if isinstance(tensor, Tensor)
    }


def arguments(module: Record, names: tuple[str, ...]) -> dict[str, Any]:
    """The constructor's arguments by name; `names` lists the positional ones, in order. Raises UserError."""
    positional = module.state.get("_init_args") or ()
    keywords = module.state.get("_init_kwargs") or {}
    if len(positional) > len(names):
        raise Inexpressible("the arguments of a network", f"it has {len(positional)}, not at most {len(names)}")
    found = dict(zip(names, positional, strict=False)) | {str(key): value for key, value in keywords.items()}
    check_plain(found)
    return found


def attribute(root: Record, path: str, default: Any = None) -> Any:
    """A plain attribute of a submodule: "synthesis.b4.conv1.conv_clamp"."""
    module: Any = root
    *parents, name = path.split(".")
    for parent in parents:
        module = _part(module, "_modules").get(parent)
        if not is_module(module):
            return default
    return module.state.get(name, default)


def _part(module: Record, name: str) -> Mapping[str, Any]:
    part = module.state.get(name)
    return part if isinstance(part, dict) else {}
