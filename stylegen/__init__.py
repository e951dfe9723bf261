"""stylegen: train, sample and evaluate StyleGANs in PyTorch, without extensions to compile.

>>> import stylegen
>>> model = stylegen.load("portraits64")
>>> model.sample([0, 1, 2]).shape
torch.Size([3, 3, 64, 64])

`load` opens a trained generator; `evaluate` computes its metrics. Both import torch on their first call.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from stylegen.latent.model import Images, Model

__version__ = "0.1.0"
__all__ = ["Images", "Model", "evaluate", "load"]


def load(
    path_or_name: "str | Path",
    device: "torch.device | str" = "auto",
    dtype: "torch.dtype | None" = None,
) -> "Model":
    """Open a generator for sampling.

    Args:
        path_or_name: a packaged model such as "portraits64", a run folder (its newest snapshot), a snapshot, a
            checkpoint from another implementation (.pkl, .pt), "nvidia/NAME", "hf:USER/NAME" or a URL.
        device: "auto" for a GPU if there is one, else the CPU.
        dtype: dtype of weights and floating-point images; None for float32.

    Raises:
        stylegen.errors.UserError: no such file or model, or a damaged one.
    """
    from stylegen.latent.model import Model

    return Model.load(path_or_name, device, dtype)


def evaluate(snapshot: "Model | str | Path", **settings: Any) -> dict[str, Any]:
    """The metric card of a snapshot, as `python -m stylegen evaluate` writes it; `["metrics"]` has the values.

    >>> stylegen.evaluate("portraits64", metrics=["fd_random_vgg16"], num_samples=50_000)  # doctest: +SKIP

    Args:
        snapshot: a model that was loaded from a file, or the path or name of one.
        settings: settings of the command, such as metrics, num_samples and out; with a dot, as
            `**{"data.path": "images.zip"}`. By default, metrics are computed against the model's training data.
            Without `out`, the card is written beside the snapshot, or to the current folder for a packaged model.

    Raises:
        stylegen.errors.UserError: a setting that the command refuses.
    """
    import json

    from stylegen.config.compose import check_complete, compose_config
    from stylegen.verbs.evaluate import run

    path = snapshot if isinstance(snapshot, (str, Path)) else snapshot.path
    overrides = [f"{key}={_typed(value)}" for key, value in {"snapshot": path, **settings}.items()]
    composed = compose_config("evaluate", overrides)
    check_complete(composed)
    card: dict[str, Any] = json.loads(run(composed) or "{}")
    return card


def _typed(value: Any) -> Any:
    """The value as on a command line."""
    if value is None:
        return "null"
    return list(value) if isinstance(value, tuple) else value


def __getattr__(name: str) -> Any:
    """`stylegen.Model` and `stylegen.Images`, imported on first use: `stylegen --help` needs no torch."""
    if name in ("Images", "Model"):
        from stylegen.latent import model

        return getattr(model, name)
    raise AttributeError(f"module 'stylegen' has no attribute {name!r}")
