"""A folder for the Hugging Face Hub: the native snapshot, its settings, samples and a model card."""

import dataclasses
import json
import shlex
import shutil
from pathlib import Path

from stylegen.checkpoints.find_model import HUB_FILE
from stylegen.checkpoints.snapshot_file import FORMAT
from stylegen.exports.export_source import Source
from stylegen.exports.model_card import model_card
from stylegen.images import make_grid, save_png, to_pil
from stylegen.latent.sampler import Sampler

SAMPLES = "samples.png"
_GRID_PX = 2048  # largest width


def write_hub_folder(source: Source, path: Path) -> list[str]:
    """Write the new folder `path` with model.safetensors, config.json, samples.png and README.md.

    Raises:
        UserError: a metric card that is damaged.
    """
    G, snapshot = source.generator, source.snapshot
    path.mkdir()
    shutil.copyfile(snapshot.path, path / HUB_FILE)  # the same bytes: its hash stays valid
    columns = max(2, min(8, _GRID_PX // G.level.resolution))
    seeds = list(range(columns * max(1, columns // 2)))
    sampler = Sampler(G, psi=0.7, seed_source=snapshot.seed_source)
    save_png(to_pil(make_grid(sampler.images(seeds), columns)), path / SAMPLES)
    config = {"library_name": "stylegen", "format": FORMAT, **source.origin}
    config["level"] = dataclasses.asdict(G.level)
    (path / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    text = model_card(source, f"{SAMPLES}: seeds 0-{seeds[-1]}, psi 0.7, {sampler.seed_source} seeds, uncurated")
    (path / "README.md").write_text(text, encoding="utf-8", errors="backslashreplace")
    lines = [
        f"hf upload USER/NAME {shlex.quote(str(source.out))}",
        "then: python -m stylegen sample snapshot=hf:USER/NAME",
    ]
    if source.card_license is None:
        lines.insert(0, "note: README.md names no license; license=NAME adds one, such as license=cc-by-4.0")
    data = snapshot.info.get("data")
    if isinstance(data, dict) and "/" in str(data.get("path", "")):
        lines.insert(0, f"note: {HUB_FILE} records the path of the training data, {data['path']}")
    return lines
