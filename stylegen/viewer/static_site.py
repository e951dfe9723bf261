"""A static page: the viewer's page with the model as ONNX files, for any web server, without Python.

The modules of `page` are copied; the modules of `static_page` replace the engine and run the network in a worker.
"""

import json
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from stylegen.checkpoints.packaged import is_packaged, packaged_model
from stylegen.checkpoints.snapshot import Snapshot
from stylegen.errors import UserError
from stylegen.exports.browser_graphs import write_browser_graphs
from stylegen.exports.export_source import Source
from stylegen.files import exclusive, parse_json
from stylegen.latent.directions_file import Directions
from stylegen.latent.noise_inputs import stored_noise
from stylegen.latent.truncation import class_centers
from stylegen.placement import existing_folder
from stylegen.randomness.philox import key
from stylegen.viewer.renderer import Renderer
from stylegen.viewer.web_runtime import VERSION, write_runtime

FORMAT, RECORD = "stylegen-site-1", "site.json"
PAGE, STATIC = Path(__file__).with_name("page"), Path(__file__).with_name("static_page")
POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; base-uri 'none'; form-action 'none'"
_INSERTED = {  # into index.html, after these lines
    '<meta charset="utf-8">': f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
    '<p class="caption" id="caption">': "Loading the model…",
    '<link rel="stylesheet" href="page/controls.css">': '<link rel="stylesheet" href="page/static.css">',
    'id="panel" aria-label="Controls">': '<p class="licenses hint"><a href="LICENSES.txt">Licenses</a></p>',
}


@dataclass(frozen=True)
class SiteResult:
    """A page that was written: its folder, bytes, and the largest difference of its images from the network's."""

    out: Path
    size: int
    difference: float

    def __str__(self) -> str:
        return (
            f"{self.out} ({self.size / 1e6:.1f} MB)\n"
            f"largest difference between ONNX Runtime and the network: {self.difference:.1e}\n"
            f"to serve it: python -m http.server -d {shlex.quote(str(self.out))}"
        )


def check_site(out: Path) -> None:
    """Raise UserError unless `out` is new, empty, or an earlier page without other files."""
    given, fix = f"export={out}", "Use export= with a new folder"
    if out.exists() and not out.is_dir():
        raise UserError(given, rule="it is a file, and a page is a folder", fix=fix)
    if Path.cwd().is_relative_to(out.resolve()):
        raise UserError(given, rule="it is the current folder, or one above it", fix=fix)
    if out.is_mount():
        raise UserError(given, rule="it is the root of a disk", fix=f"Use export={out / 'site'}")
    others = {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()} - _recorded(out)
    if others:
        raise UserError(given, rule=f"it holds {min(others)}, which is not a file of an earlier page", fix=fix)
    folder = existing_folder(out.parent)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        rule = f"{folder} cannot be written ({error.strerror or error})"
        raise UserError(given, rule=rule, fix="Use export= in a writable folder") from error


def write_site(snapshot: Snapshot, name: str, out: Path, runtime: Path, sets: Mapping[str, Directions]) -> SiteResult:
    """Write the folder `out`, at once; an earlier page is replaced.

    Args:
        name: title of the model on the page.
        runtime: see `find_runtime`.
        sets: directions from files, by name; SeFa and PCA are added.

    Raises:
        UserError: see `check_site` and `write_browser_graphs`.
    """
    out = out.resolve()
    check_site(out)
    disk = existing_folder(out.parent)
    with exclusive(out, wait=False), tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=disk) as work:
        new = Path(work) / "new"
        new.mkdir()
        _write_page(new, snapshot, name)
        write_runtime(runtime, new / "runtime")
        (new / "model").mkdir()
        difference = write_browser_graphs(Source(snapshot), new / "model")
        description = _write_model(new / "model", snapshot, sets)
        files = sorted(path.relative_to(new).as_posix() for path in new.rglob("*") if path.is_file())
        record = {"format": FORMAT, "name": name, **description, "files": [*files, RECORD]}
        (new / RECORD).write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")
        check_site(out)
        _replace(new, out, Path(work) / "old")
    return SiteResult(out, sum(path.stat().st_size for path in out.rglob("*") if path.is_file()), difference)


def _recorded(out: Path) -> set[str]:
    """The files of an earlier page."""
    try:
        record = parse_json((out / RECORD).read_text(encoding="utf-8"))
        return set(record["files"]) if record["format"] == FORMAT else set()
    except (OSError, ValueError, LookupError, TypeError):
        return set()


def _write_page(new: Path, snapshot: Snapshot, name: str) -> None:
    """The modules, the static page's last: its engine replaces the server's."""
    text = (PAGE / "index.html").read_text(encoding="utf-8")
    for place, addition in _INSERTED.items():
        assert text.count(place) == 1
        text = text.replace(place, place + addition)
    (new / "page").mkdir()
    (new / "index.html").write_text(text, encoding="utf-8")
    for path in [*PAGE.iterdir(), *STATIC.iterdir()]:
        if path.suffix in (".js", ".css", ".svg"):
            shutil.copyfile(path, new / "page" / path.name)
    model = "Its license is set by its author and its training data; contact the author."
    if is_packaged(snapshot.path):
        model = packaged_model(snapshot.path.stem).card["license"]
    licenses = (STATIC / "LICENSES.txt").read_text(encoding="utf-8")
    (new / "LICENSES.txt").write_text(licenses.format(name=name, model=model, version=VERSION), encoding="utf-8")


def _write_model(folder: Path, snapshot: Snapshot, sets: Mapping[str, Directions]) -> dict[str, Any]:
    """Write tensors.safetensors; returns what the page needs to know beside it."""
    G, renderer = snapshot.generator, Renderer(snapshot, sets)
    noise = stored_noise(G)
    tensors: dict[str, Tensor] = {"w_avg": G.mapping.w_avg}
    tensors |= {f"noise{k}": value for k, value in enumerate(noise)}
    if G.num_classes:
        tensors["centers"] = class_centers(G, torch.arange(G.num_classes))
    info, directions = renderer.info(), {}
    for set_name in info["sets"]:
        found = renderer.directions(set_name)
        directions[set_name] = {"names": list(found.names), "layers": list(found.layers)}
        tensors |= {f"{set_name}.vectors": found.vectors, f"{set_name}.scales": found.scales}
    plain = {name: tensor.detach().float().contiguous().clone() for name, tensor in tensors.items()}
    (folder / "tensors.safetensors").write_bytes(safetensors.torch.save(plain))  # save_file: readable by its owner only
    keys = {"z": key(0, "sample/z"), "label": key(0, "sample/label")}
    return {
        "info": {name: value for name, value in info.items() if name != "dataset"},
        "seed_source": snapshot.seed_source,
        "z_dim": G.z_dim,
        "slots": G.num_ws,
        "width": len(G.mapping.w_avg),
        "keys": keys | {"noise": [key(0, f"sample/noise{k}") for k in range(len(noise))]},
        "directions": directions,
    }


def _replace(new: Path, out: Path, old: Path) -> None:
    """Rename `new` to `out`, and what was there to `old`."""
    existed = out.exists()
    out.parent.mkdir(parents=True, exist_ok=True)
    if existed:
        out.replace(old)
    try:
        new.replace(out)
    except OSError:
        if existed:
            old.replace(out)
        raise
