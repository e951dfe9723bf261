"""Converts a file of another program: a snapshot of G_ema, and the weights of all networks for `init=`."""

import filecmp
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from stylegen.checkpoints.foreign_file import sha256_of
from stylegen.checkpoints.importers.foreign_kinds import import_model
from stylegen.checkpoints.importers.foreign_model import ForeignModel, Weights, save_weights
from stylegen.checkpoints.published_models import PublishedModel
from stylegen.checkpoints.sealed import save_sealed
from stylegen.downloads import is_download
from stylegen.errors import DamagedFile, UserError, printable
from stylegen.files import replacing

_NOT_PARAMETERS = ("noise_const", "noise.const", "w_avg", "magnitude_ema", "freqs", "phases", "transform")


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        model: the networks.
        sha256: SHA-256 of the source file.
        snapshot: the new .safetensors file with G_ema.
        weights: G, D and G_ema for `init=`; None if the source has no D.
    """

    model: ForeignModel
    sha256: str
    snapshot: Path
    weights: Path | None

    def __str__(self) -> str:
        G, settings = self.model.G_ema, self.model.G_ema.settings
        size = sum(tensor.numel() for name, tensor in G.tensors.items() if not name.endswith(_NOT_PARAMETERS))
        side, classes = settings["resolution"], settings["num_classes"]
        labels = f"{classes} classes" if classes else "no classes"
        facts = f"{G.network}, {side}x{side} px, {settings['channels']} channels, {labels}, {size:,} parameters"
        lines = [f"{self.model.kind}: {facts}", f"sha256 {self.sha256}"]
        lines += [f"note: {note}" for note in self.model.notes]
        if self.weights is not None:
            init = shlex.quote(f"init={self.weights}")
            lines.append(f"{self.weights}: G, D and G_ema; python train.py {init} data.path=DATA")
        lines.append(f"{self.snapshot}: python sample.py {shlex.quote(f'snapshot={self.snapshot}')}")
        return "\n".join(map(printable, lines))


def convert_foreign(
    source: Path, out: Path, setting: str = "source", published: PublishedModel | None = None
) -> Converted:
    """Write `out`, and beside it a `.ckpt` if the source has a discriminator. Executes nothing of the source.

    Args:
        setting: name of the setting with the source, for error messages.
        published: the model that the source must hold; None for any.

    Raises:
        UserError: see `check_output`, `import_model`; not the published network; a file that changes meanwhile. Then
            nothing is written.
    """
    check_output(out, source)
    sha256 = sha256_of(source, setting)
    try:
        model = import_model(source, setting)
    except UserError as error:
        if published is None and not is_download(source):
            raise
        kind = DamagedFile if isinstance(error, DamagedFile) else UserError
        fix = f"{error.fix}. To download it again, delete {source}"
        raise kind(error.problem, rule=error.rule, fix=fix) from error
    network = f"{model.G_ema.network} at {model.G_ema.settings['resolution']} px"
    if published is not None and network != f"{published.network} at {published.resolution} px":
        raise UserError(
            f"{source} holds {network}",
            rule=f"the published file holds {published.network} at {published.resolution} px",
            fix=f"Delete {source} and try again, to download {published.url} again",
        )
    if sha256_of(source, setting) != sha256:
        raise UserError(f"{setting}={source}", rule="it changed while it was read", fix="Try again")
    info = {"source": {"file": source.name, "sha256": sha256, "program": model.kind, "notes": list(model.notes)}}
    return write_networks(model, out, info, sha256)


def check_output(out: Path, *sources: Path) -> None:
    """Raise UserError if `out` is not a .safetensors file, or would replace a source."""
    if out.suffix != ".safetensors":
        raise UserError(f"out={out}", rule="must be a .safetensors file", fix=f"Use out={out}.safetensors")
    for path in (out, out.with_suffix(".ckpt")):
        same = path.exists() and any(source.exists() and path.samefile(source) for source in sources)
        if path.is_dir() or same:
            what = "a folder" if path.is_dir() else "the source"
            raise UserError(f"out={out}", rule=f"{path} is {what}, which is not replaced", fix="Use another name")


def write_networks(model: ForeignModel, out: Path, info: Mapping[str, Any], sha256: str) -> Converted:
    """Write a snapshot with `info`, and beside it the weights for `init=` if there is a D: both files, or none.

    Raises:
        UserError: one of them exists with other content, or there is no D, and weights of other networks exist.
    """
    beside = out.with_suffix(".ckpt")
    with replacing(out) as snapshot:  # renamed last: where it is, both are complete
        save_weights(snapshot, model.G_ema, info)
        _check_replaceable(out, snapshot)
        if model.D is None:
            if beside.exists():
                raise UserError(f"out={out}", rule=f"{beside} holds other networks", fix="Use another name")
            return Converted(model, sha256, out, None)
        parts = {"G": model.G or model.G_ema, "D": model.D, "G_ema": model.G_ema}
        with replacing(beside) as partial:
            with partial.open("wb") as file:
                save_sealed({"weights": _joined(parts), "networks": _described(model.G_ema, model.D)}, file)
            _check_replaceable(beside, partial)
    return Converted(model, sha256, out, beside)


def _check_replaceable(path: Path, new: Path) -> None:
    """Raise UserError if `path` exists with other content than the file `new`."""
    if path.exists() and not filecmp.cmp(path, new, shallow=False):
        raise UserError(f"out={path}", rule="it exists with other content", fix="Use another name, or move the file")


def _described(generator: Weights, discriminator: Weights) -> dict[str, dict[str, Any]]:
    """Name and settings of both networks, as `init=` reads them; lists in place of tuples, as in a config.yaml."""
    networks = {"generator": generator, "discriminator": discriminator}
    return json.loads(json.dumps({part: {"name": own.network, **own.settings} for part, own in networks.items()}))


def _joined(parts: dict[str, Weights]) -> dict[str, Tensor]:
    """Tensors of all networks by part and name, as in a checkpoint."""
    return {f"{part}.{name}": tensor for part, weights in parts.items() for name, tensor in weights.tensors.items()}
