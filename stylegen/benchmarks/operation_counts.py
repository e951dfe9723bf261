"""Counts of the operations that PyTorch dispatches, their floating-point operations, and the memory of live tensors."""

import weakref
from collections import Counter
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

_GROUPS, _MASK = 9, 10  # arguments of aten.convolution_backward
_NO_WORK = ("aten.empty", "aten.new_empty", "aten.detach", "prim.", "aten.sym_", "aten.is_", "aten._local_scalar_dense")


class OperationCounts(TorchDispatchMode):
    """Context manager: counts operations of forward, backward and double backward, as they reach the device.

    Compiled functions do not dispatch their operations; count them in eager mode.

    Attributes:
        operations: number by name, without views and allocations, which launch nothing.
        flops: floating-point operations of matrix products and convolutions by name; a product and a sum count as two.
        work: (floating-point operations, bytes of arguments and results) of each operation that `operations` counts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations, self.flops = Counter[str](), Counter[str]()
        self.work: list[tuple[int, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = str(func._overloadpacket)
        formula = flop_registry.get(func._overloadpacket)
        flops = 0 if formula is None else _flops(formula, args, kwargs or {}, result)
        if flops:
            self.flops[name] += flops
        if not (_is_view(func) or name.startswith(_NO_WORK)):
            self.operations[name] += 1
            self.work.append((flops, sum(map(_bytes, tree_leaves((args, kwargs, result))))))
        return result


class LiveMemory(TorchDispatchMode):
    """Context manager: bytes of all tensors that are alive, each storage once.

    Works with `FakeTensorMode`, which computes shapes only: the peak of a step is known without its memory.

    Attributes:
        bytes: now.
        peak: largest value of `bytes`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes, self.peak = 0, 0
        self._sizes: dict[int, int] = {}

    def add(self, tensor: Tensor) -> None:
        """Count a tensor that exists already."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._sizes:
            self._sizes[key] = storage.nbytes()
            self.bytes += self._sizes[key]
            self.peak = max(self.peak, self.bytes)
            weakref.finalize(storage, self._remove, key)

    def _remove(self, key: int) -> None:
        self.bytes -= self._sizes.pop(key, 0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self.add(value)
        return result


def _bytes(value: Any) -> int:
    return value.numel() * value.element_size() if isinstance(value, Tensor) else 0


def _is_view(func: Any) -> bool:
    returned = func._schema.returns
    return bool(returned) and all(r.alias_info is not None and not r.alias_info.is_write for r in returned)


def _flops(formula: Any, args: Any, kwargs: Any, result: Any) -> int:
    total = int(formula(*args, **kwargs, out_val=result))
    if str(formula).find("conv_backward") < 0 or args[_GROUPS] == 1 or not args[_MASK][1]:
        return total
    # PyTorch's formula takes the weight gradient of a grouped convolution for one of an ungrouped convolution.
    to_input = [*args[:_MASK], [args[_MASK][0], False, False]]
    by_input = int(formula(*to_input, out_val=result))
    return by_input + (total - by_input) // int(args[_GROUPS])
