"""The programs whose files are imported, found by content; others are named and refused."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegen.checkpoints.foreign_file import read_foreign
from stylegen.checkpoints.importers import (
    genforce,
    nvidia_stylegan2,
    nvidia_stylegan3,
    r3gan_pickle,
    rosinality,
    tensorflow_stylegan1,
    tensorflow_stylegan2,
)
from stylegen.checkpoints.importers.foreign_model import ForeignModel
from stylegen.checkpoints.importers.tensorflow_network import networks_of
from stylegen.checkpoints.pickle_data import Refused
from stylegen.errors import DamagedFile, UserError


@dataclass(frozen=True)
class Kind:
    """One program's files."""

    name: str
    recognizes: Callable[[Any], bool]
    convert: Callable[[Any], ForeignModel]


KINDS = [
    Kind(module.KIND, module.recognizes, module.convert)
    for module in (
        nvidia_stylegan3,
        nvidia_stylegan2,
        tensorflow_stylegan2,
        tensorflow_stylegan1,
        rosinality,
        genforce,
        r3gan_pickle,
    )
]


def import_model(path: Path, setting: str = "source") -> ForeignModel:
    """The networks of a file of another program; nothing of the file is executed.

    Args:
        setting: name of the setting with the path, for error messages.

    Raises:
        UserError: an unreadable, unknown or unsupported file; tensors or settings without a counterpart.
        DamagedFile: a damaged file.
    """
    content = read_foreign(path, setting)
    try:
        kind = next((kind for kind in KINDS if kind.recognizes(content)), None)
        if kind is not None:
            return _checked(kind.convert(content))
    except UserError as error:
        raise UserError(f"{setting}={path}: {error.problem}", rule=error.rule, fix=error.fix) from error
    except Refused as error:
        raise UserError(f"{setting}={path}", rule=f"it is not read: {error}", fix="Use another file") from error
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError, RuntimeError, MemoryError) as error:
        reason = f"{type(error).__name__}: {str(error).splitlines()[0][:100] if str(error) else ''}"
        raise DamagedFile(
            f"{setting}={path}", rule=f"its networks have impossible values ({reason})", fix="Use another file"
        ) from error
    raise UserError(f"{setting}={path}", rule=_refusal(content), fix=f"Use a file of one of: {names()}")


def _checked(model: ForeignModel) -> ForeignModel:
    """The model, if its networks fit each other. Raises UserError."""
    if model.G is not None and (model.G.network, model.G.settings) != (model.G_ema.network, model.G_ema.settings):
        raise UserError("G and G_ema of the file", rule="their settings differ", fix="Use an unmodified file")
    for key in ("resolution", "channels", "num_classes"):
        if model.D is not None and model.D.settings[key] != model.G_ema.settings[key]:
            both = f"{key} {model.D.settings[key]} of D, {model.G_ema.settings[key]} of G_ema"
            raise UserError("D and G_ema of the file", rule=f"they do not fit: {both}", fix="Use an unmodified file")
    return model


def names() -> str:
    """The programs, for messages."""
    return "; ".join(kind.name for kind in KINDS)


def _refusal(content: Any) -> str:
    """Why the content is not imported: the program, if it is known."""
    if isinstance(content, dict):
        keys = set(map(str, content))
        inner = content.get("GAN")
        if isinstance(inner, dict) and any(str(name).startswith("GE.") for name in inner):
            return (
                "it is lucidrains' stylegan2-pytorch, whose generator differs from StyleGAN2: bilinear up-sampling, "
                "noise mapped by linear layers, one style for both layers of a block, an extra convolution"
            )
        if "generator" in keys or "models" in keys:
            return "it has GenForce's layout, but holds no StyleGAN (perhaps ProGAN or an encoder)"
        if {"state_dict", "pytorch-lightning_version"} & keys:
            return "it is a checkpoint of another training program"
        return f"no StyleGAN program is known to write a dict of {', '.join(sorted(keys)[:5])[:120] or 'nothing'}"
    if networks_of(content) is not None:
        return "its TensorFlow networks are not StyleGAN's (perhaps ProGAN's)"
    return f"it holds a {type(content).__name__} and no networks"
