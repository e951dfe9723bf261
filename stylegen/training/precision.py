"""In which number format the networks compute, decided outside them.

The networks' blocks follow the type of what they are given. So half precision is a matter of casting what enters a
block: the highest resolutions, which cost most, take bfloat16 or float16; the others float32. Weights, optimizers and
the average are always float32. Inside the layers, the steps that cannot bear fewer bits promote by themselves
(demodulation, minibatch statistics, penalties, sums of RGB pictures, logits), each with its reason beside it.

StyleGAN2-ADA (arXiv 2006.06676, appendix) trains the four highest resolutions in float16 without scaling the loss;
what overflows is clamped (`conv_clamp=256`), and weights and styles are normalised before they are multiplied.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from stylegen.errors import UserError, unknown_choice

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
PRECISIONS = ("fp32", "tf32", *HALF)
_BF16_CPUS = ("avx512_bf16", "amx_bf16", "bf16")  # the last is ARM's


class Precision:
    """Applies one of `PRECISIONS`.

    Args:
        name: "fp32" is exact float32; "tf32" lets an NVIDIA GPU round the factors of products to 10 bits; "bf16" and
            "fp16" are those of the blocks of `half_resolutions`.
        half_resolutions: how many of the highest resolutions compute in half precision; None for all but the logits.

    Raises:
        UserError: an unknown name, or a negative number.
    """

    def __init__(self, name: str = "fp32", half_resolutions: int | None = 4) -> None:
        if name not in PRECISIONS:
            raise unknown_choice("precision", name, PRECISIONS)
        if half_resolutions is not None and half_resolutions < 0:
            raise UserError(
                f"half_resolutions={half_resolutions}", rule="it counts resolutions", fix="Use 4, or null for all"
            )
        self.name, self.half_resolutions = name, half_resolutions

    def check(self, device_type: str, clamps: dict[str, Any]) -> None:
        """Refuse what the device cannot do at a sensible speed.

        Args:
            device_type: "cpu", "cuda" or "mps".
            clamps: value of each setting that limits a network's magnitudes; "missing" where it has none.

        Raises:
            UserError: naming the setting and the way out.
        """
        rule = None
        if self.name == "tf32" and not (device_type == "cuda" and torch.cuda.get_device_capability() >= (8, 0)):
            rule = "it is a mode of NVIDIA GPUs from Ampere on"
        if self.name == "bf16" and device_type == "cuda" and not torch.cuda.is_bf16_supported(False):
            rule = "this GPU has no bfloat16 arithmetic"
        if self.name == "bf16" and device_type == "cpu" and not cpu_has_bf16():
            rule = "this CPU has no bfloat16 instructions and would emulate them, many times slower than float32"
        if self.name == "fp16" and device_type == "cpu":
            rule = "CPUs compute float16 many times slower than float32"
        if rule is not None:
            raise UserError(f"precision={self.name}", rule=rule, fix="Use precision=fp32")
        free = [setting for setting, clamp in clamps.items() if clamp in (None, "missing")]
        if self.name == "fp16" and free:
            missing = clamps[free[0]] == "missing"
            raise UserError(
                f"precision=fp16 with {'a network without ' if missing else ''}{free[0]}{'' if missing else '=null'}",
                rule="float16 overflows at 65504",
                fix="Use precision=bf16" if missing else f"Use {free[0]}=256, as published, or precision=bf16",
            )

    def attach(self, generator: nn.Module, discriminator: nn.Module) -> None:
        """Cast what enters the blocks of both networks from now on.

        Args:
            generator: with `synthesis.blocks`, by resolution; discriminator: with `blocks`, by resolution.
        """
        if self.name not in HALF:
            return
        # The generator's picture is a sum over blocks and stays in float32; the discriminator's is an input.
        networks = ((generator.get_submodule("synthesis.blocks"), 1), (discriminator.get_submodule("blocks"), 2))
        for blocks, inputs in networks:
            sizes = sorted((int(size) for size, _ in blocks.named_children()), reverse=True)
            for size in sizes:
                half = self.half_resolutions is None or size in sizes[: self.half_resolutions]
                hook = _cast_first(inputs, HALF[self.name] if half else torch.float32)
                blocks.get_submodule(str(size)).register_forward_pre_hook(hook)

    def set_products(self) -> None:
        """Set, for the whole process, how GPUs multiply float32 numbers; PyTorch rounds convolutions by default."""
        # The older of PyTorch's two interfaces: Lightning asks through it, and the two may not be mixed.
        torch.set_float32_matmul_precision("high" if self.name == "tf32" else "highest")
        torch.backends.cudnn.allow_tf32 = self.name == "tf32"


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 numbers by instructions of its own; False where PyTorch cannot tell."""
    capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in _BF16_CPUS)


def _cast_first(count: int, dtype: torch.dtype) -> Any:
    """A hook that casts the first `count` arguments of a block, where they are tensors."""

    def hook(block: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        cast = (v.to(dtype) if isinstance(v, Tensor) else v for v in arguments[:count])
        return (*cast, *arguments[count:])

    return hook
