"""The names that StyleGAN files need, each with our function in its place. Nothing else is read.

Tensors and arrays become tensors, dict subclasses become dicts, and objects become `Record`s of names and values. An
object of NVIDIA's `torch_utils.persistence` carries the source of its class; it is dropped here.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stylegen.checkpoints.pickle_data import Budget, Global, Pending, Record, Refused
from stylegen.checkpoints.safe_pickle import Table, check_key
from stylegen.checkpoints.torch_storages import MAX_DIMENSIONS, STORAGE_TYPES, read_storage, rebuild_tensor

PERSISTENT = "torch_utils.persistence"
_KINDS = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}


def _persistent(budget: Budget, meta: Any) -> Record:
    """In place of `_reconstruct_persistent_obj`, which executes `meta["module_src"]`."""
    name, state = (meta.get(key) for key in ("class_name", "state")) if isinstance(meta, dict) else (None, None)
    if not isinstance(name, str) or not isinstance(state, dict):
        raise Refused("a persistent object has no class or state")
    return Record(PERSISTENT, name, (), state)


def _record(module: str, name: str) -> Callable[..., Record]:
    return lambda budget, *args: Record(module, name, args)


def _dict(budget: Budget, items: Any = ()) -> dict[Any, Any]:
    if not isinstance(items, list | tuple) or any(
        not isinstance(item, list | tuple) or len(item) != 2 or not isinstance(item[0], str) for item in items
    ):
        raise Refused("a dict has items that are not pairs")
    budget.take_operations(len(items))
    return {check_key(key): value for key, value in items}


def _set(budget: Budget, items: Any = ()) -> set[Any]:
    if not isinstance(items, list | tuple) or not all(isinstance(item, str | None) for item in items):
        raise Refused("a set has items that are not texts")
    budget.take_operations(len(items))
    return set(items)


def _size(budget: Budget, lengths: Any = ()) -> tuple[int, ...]:
    """In place of `torch.Size`."""
    if not isinstance(lengths, list | tuple) or len(lengths) > MAX_DIMENSIONS:
        raise Refused("a shape is not a list of lengths")
    return tuple(lengths)


def _reconstruct_class(budget: Budget, kind: Any, base: Any, state: Any) -> Any:
    """In place of `copyreg._reconstructor`, of protocols 0 and 1."""
    if not isinstance(kind, Global) or not isinstance(base, Global) or base.name != "object" or state is not None:
        raise Refused("it reconstructs an object of unknown kind")
    return NAMES[kind.module, kind.name](budget)


def _encode(budget: Budget, text: Any, encoding: Any = "utf-8") -> bytes:
    """In place of `_codecs.encode`, with which protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Refused("it encodes a string")
    budget.take_storage(len(text))
    return text.encode("latin-1")


def _dtype(budget: Budget, code: Any, *others: Any) -> Pending:
    """In place of `numpy.dtype`, followed by its state (version, byte order, ...)."""
    if not isinstance(code, str) or code not in _KINDS:
        raise Refused("an array has a type that is not numeric")

    def finish(state: Any) -> np.dtype[Any]:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", ">", "|", "="):
            raise Refused("an array has an unknown byte order")
        return np.dtype(code).newbyteorder(">" if order == ">" else "=")

    return Pending(finish)


def _array(budget: Budget, *args: Any) -> Pending:
    """In place of `numpy.core.multiarray._reconstruct`, followed by (version, shape, dtype, column-major, bytes)."""

    def finish(state: Any) -> Tensor:
        if not isinstance(state, tuple) or len(state) != 5:
            raise Refused("an array has an unknown state")
        return _decode(budget, state[4], state[2], state[1], "F" if state[3] else "C")

    return Pending(finish)


def _from_buffer(budget: Budget, data: Any, dtype: Any, shape: Any, order: Any) -> Tensor:
    """In place of `numpy.core.numeric._frombuffer`, of protocol 5."""
    return _decode(budget, data, dtype, shape, order)


def _scalar(budget: Budget, dtype: Any, data: Any) -> Any:
    """In place of `numpy.core.multiarray.scalar`."""
    return _decode(budget, data, dtype, (), "C").item()


def _decode(budget: Budget, data: Any, dtype: Any, shape: Any, order: Any) -> Tensor:
    raw = data.encode("latin-1") if isinstance(data, str) else data  # Python 2
    if not isinstance(raw, bytes | bytearray) or not isinstance(dtype, np.dtype) or order not in ("C", "F"):
        raise Refused("an array has no data or type")
    lengths = shape if isinstance(shape, tuple) else (shape,)
    if len(lengths) > MAX_DIMENSIONS or any(type(n) is not int or not 0 <= n < 2**48 for n in lengths):
        raise Refused("an array has an impossible shape")
    if math.prod(lengths) * dtype.itemsize != len(raw):
        raise Refused(f"an array of shape {list(lengths)} has {len(raw)} bytes")
    budget.take_storage(len(raw))
    array = np.frombuffer(raw, dtype).reshape(lengths, order=order)
    return torch.from_numpy(np.array(array, dtype.newbyteorder("="), order="C"))


def _not_called(budget: Budget, *args: Any) -> Any:
    raise Refused("it calls a name that only describes data")


_PARAMETER = {
    ("torch._utils", "_rebuild_parameter"): lambda budget, data, *others: data,
    ("torch._utils", "_rebuild_parameter_with_state"): lambda budget, data, *others: data,
}
_NUMPY = {
    (f"{module}.{part}", name): function
    for module in ("numpy.core", "numpy._core")
    for part, name, function in (
        ("multiarray", "_reconstruct", _array),
        ("multiarray", "scalar", _scalar),
        ("numeric", "_frombuffer", _from_buffer),
    )
}
_CLASSES = [
    ("dnnlib.tflib.network", "Network"),  # StyleGAN and StyleGAN2 in TensorFlow
    ("argparse", "Namespace"),  # the command line in rosinality's checkpoints
    ("pathlib", "PosixPath"),
    ("pathlib", "WindowsPath"),
    ("torch", "device"),
    ("runners.running_stats", "RunningStats"),  # genforce
    ("runners.running_stats", "SingleStats"),
    *(("training.networks", name) for name in ("Generator", "Discriminator")),  # R3GAN
    *(("R3GAN.Networks", f"{network}Stage") for network in ("Generator", "Discriminator")),
    *(("R3GAN.Networks", name) for name in ("Generator", "Discriminator", "GenerativeBasis", "DiscriminativeBasis")),
    *(("R3GAN.Networks", name) for name in ("Convolution", "ResidualBlock", "UpsampleLayer", "DownsampleLayer")),
    ("R3GAN.FusedOperators", "BiasedActivationCUDA"),
    *(("R3GAN.Resamplers", f"Interpolative{way}samplerCUDA") for way in ("Up", "Down")),
    ("torch.nn.modules.container", "ModuleList"),
    ("torch.nn.modules.conv", "Conv2d"),
    ("torch.nn.modules.linear", "Linear"),
]
_DICTS = [("collections", "OrderedDict"), ("dnnlib.util", "EasyDict"), ("builtins", "dict"), ("__builtin__", "dict")]
_DESCRIPTIONS = [
    ("builtins", "object"),
    ("__builtin__", "object"),
    ("numpy", "ndarray"),
    *(("torch", name) for name in ("float16", "bfloat16", "float32", "float64", "int64", "int32", "uint8", "bool")),
    *(("torch", name) for name in ("contiguous_format", "channels_last", "preserve_format")),
]
NAMES: Table = {
    **STORAGE_TYPES,
    **dict.fromkeys(_DICTS, _dict),
    **dict.fromkeys(_DESCRIPTIONS, _not_called),
    **{name: _record(*name) for name in _CLASSES},
    **_PARAMETER,
    **_NUMPY,
    (PERSISTENT, "_reconstruct_persistent_obj"): _persistent,
    ("torch._utils", "_rebuild_tensor"): rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("torch.storage", "_load_from_bytes"): read_storage,
    ("torch", "Size"): _size,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encode,
    ("copyreg", "_reconstructor"): _reconstruct_class,
    ("copy_reg", "_reconstructor"): _reconstruct_class,
    ("builtins", "set"): _set,
    ("__builtin__", "set"): _set,
}
