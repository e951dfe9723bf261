"""The device of a command."""

import torch

from stylegen.errors import UserError, unknown_choice

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str) -> torch.device:
    """The device of this name; "auto" is CUDA if available, else MPS, else the CPU.

    Raises:
        UserError: an unknown name, or a device that this machine lacks.
    """
    if name not in DEVICES:
        raise unknown_choice("device", name, DEVICES)
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, found in available.items() if found))
    if not available[name]:
        usable = [kind for kind, found in available.items() if found]
        raise UserError(
            f"device={name}", rule="this machine has no such device", fix=f"Use device={' or device='.join(usable)}"
        )
    return torch.device(name)
