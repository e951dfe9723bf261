"""The number format of the networks in training.

A block computes in the dtype of its input. In half precision, the inputs of the blocks of the highest resolutions are
cast to bfloat16 or float16 and all others to float32. Weights, optimizer states and G_ema are always float32. Inside
the layers, operations that need more precision promote to float32 (demodulation, minibatch statistics, penalties, sums
of RGB images, logits).

StyleGAN2-ADA (arXiv 2006.06676, appendix) trains the four highest resolutions in float16 without loss scaling;
activations are clamped (`conv_clamp=256`), and weights and styles are normalized before multiplication.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from stylegen.errors import UserError, unknown_choice
from stylegen.networks import StyleGenerator

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
PRECISIONS = ("fp32", "tf32", *HALF)
_BF16_CPUS = ("avx512_bf16", "amx_bf16", "bf16")  # the last one on ARM


class Precision:
    """Applies one of `PRECISIONS`.

    Args:
        name: "fp32" is IEEE float32; "tf32" rounds the factors of products to 10 bits on NVIDIA GPUs; "bf16" and
            "fp16" apply to the blocks of `half_resolutions`.
        half_resolutions: number of the highest resolutions in half precision; None for all except the logits.

    Raises:
        UserError: an unknown name, or a negative number of resolutions.
    """

    def __init__(self, name: str = "fp32", half_resolutions: int | None = 4) -> None:
        if name not in PRECISIONS:
            raise unknown_choice("precision", name, PRECISIONS)
        if half_resolutions is not None and half_resolutions < 0:
            raise UserError(
                f"half_resolutions={half_resolutions}",
                rule="must be a number of resolutions",
                fix="Use 4, or null for all",
            )
        self.name, self.half_resolutions = name, half_resolutions

    def check(self, device_type: str, clamps: dict[str, Any]) -> None:
        """Refuse formats that the device does not compute natively, and float16 without clamping.

        Args:
            device_type: "cpu", "cuda" or "mps".
            clamps: value of each `conv_clamp` setting; "missing" for a network without clamping.

        Raises:
            UserError: an unsupported format; names a setting that works.
        """
        rule = None
        if self.name == "tf32" and not (device_type == "cuda" and torch.cuda.get_device_capability() >= (8, 0)):
            rule = "TF32 needs an NVIDIA GPU from Ampere on"
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

    def attach(self, generator: StyleGenerator, discriminator: nn.Module) -> None:
        """Cast the inputs of both networks' blocks, by forward pre-hooks.

        Args:
            discriminator: has `blocks` by resolution.
        """
        if self.name not in HALF:
            return
        # The generator's image is a sum over blocks and stays in float32; the discriminator's is an input.
        own = {int(side): [block] for side, block in discriminator.get_submodule("blocks").named_children()}
        for blocks, inputs in ((generator.synthesis.blocks_by_resolution(), 1), (own, 2)):
            sizes = sorted(blocks, reverse=True)
            for size in sizes:
                half = self.half_resolutions is None or size in sizes[: self.half_resolutions]
                hook = _cast_first(inputs, HALF[self.name] if half else torch.float32)
                for block in blocks[size]:
                    block.register_forward_pre_hook(hook)

    def set_products(self) -> None:
        """Set the precision of float32 products on GPUs; PyTorch's default for convolutions is TF32."""
        # PyTorch's older interface, because Lightning uses it and the two must not be mixed.
        torch.set_float32_matmul_precision("high" if self.name == "tf32" else "highest")
        torch.backends.cudnn.allow_tf32 = self.name == "tf32"


def cpu_has_bf16() -> bool:
    """Whether this CPU has bfloat16 instructions; False if PyTorch does not report it."""
    capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in _BF16_CPUS)


def _cast_first(count: int, dtype: torch.dtype) -> Any:
    """A forward pre-hook that casts the tensors among the first `count` arguments."""

    def hook(block: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        cast = (v.to(dtype) if isinstance(v, Tensor) else v for v in arguments[:count])
        return (*cast, *arguments[count:])

    return hook
