"""README.md of a Hub folder: YAML metadata, samples, use, training, and the metric card if there is one."""

import json
from typing import Any

from stylegen.checkpoints.packaged import is_packaged, packaged_model
from stylegen.errors import UserError
from stylegen.exports.export_source import Source
from stylegen.files import parse_json

_TITLES = {"stylegan1": "StyleGAN", "stylegan2": "StyleGAN2", "stylegan3": "StyleGAN3", "r3gan": "R3GAN"}
_TEXTS = ("training", "protocol", "license", "limits")  # of a packaged model's card
_TRAINING = ("images_seen", "dataset", "fingerprint", "source", "class_names")  # of a snapshot's `info`


def model_card(source: Source, caption: str) -> str:
    """The text.

    Args:
        caption: caption of the samples, starting with the name of their file.

    Raises:
        UserError: the metric card beside the snapshot is damaged.
    """
    G, card = source.generator, _metric_card(source)
    title = card.get("title") or f"{_TITLES[G.name]}, {G.level.resolution} px"
    parameters = sum(parameter.numel() for parameter in G.parameters())
    side = G.level.resolution
    labels = f"{G.num_classes} classes" if G.num_classes else "unconditional"
    image, _, what = caption.partition(": ")
    sections = [
        _metadata(source),
        f"# {title}",
        f"{_TITLES[G.name]}, {side}x{side} px, {G.channels} channel{'s' * (G.channels > 1)}, {labels}, "
        f"{parameters / 1e6:.2g} million parameters, exported by stylegen {source.origin['stylegen']}.",
        f"![Samples]({image})\n\n*{what}*",
        "## Use\n\n```sh\npython -m stylegen sample snapshot=hf:USER/NAME seeds=0-15\n```\n\n"
        '```python\nimport stylegen\n\nimages = stylegen.load("hf:USER/NAME").sample("0-15", psi=0.7)\n```\n\n'
        "`model.safetensors` holds float32 tensors; its metadata entry `stylegen` and `config.json` hold the settings. "
        "Nothing in them is code.",
        *_training(source, card),
        *_metrics(card),
    ]
    return "\n\n".join(sections) + "\n"


def _metadata(source: Source) -> str:
    """The YAML block; JSON texts are YAML."""
    lines = ["library_name: stylegen", "pipeline_tag: unconditional-image-generation"]
    if source.card_license is not None:
        lines.append(f"license: {json.dumps(source.card_license)}")
    tags = [source.generator.name, "gan", "image-generation"]
    return "\n".join(["---", *lines, "tags:", *(f"- {tag}" for tag in tags), "---"])


def _metric_card(source: Source) -> dict[str, Any]:
    """The card of a packaged model, or <snapshot>.metrics.json; empty if there is none."""
    path = source.snapshot.path
    if is_packaged(path):
        return packaged_model(path.stem).card
    file = path.with_suffix(".metrics.json")
    if not file.exists():
        return {}
    try:
        card = parse_json(file.read_text(encoding="utf-8"))
        assert isinstance(card, dict)
        assert all(isinstance(value, (int, float)) for value in card["metrics"].values())
    except (OSError, ValueError, AssertionError, LookupError, AttributeError) as error:
        raise UserError(
            f"the metric card {file}", rule="it is damaged", fix="Delete it, or run `python -m stylegen evaluate` again"
        ) from error
    return card


def _training(source: Source, card: dict[str, Any]) -> list[str]:
    lines = [f"- {key}: {card[key]}" for key in _TEXTS if isinstance(card.get(key), str)]
    found = {key: source.snapshot.info[key] for key in _TRAINING if key in source.snapshot.info}
    lines += [f"- {key.replace('_', ' ')}: {_text(value)}" for key, value in found.items()]
    return ["## Training\n\n" + "\n".join(lines)] if lines else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else f"`{json.dumps(value)}`"


def _metrics(card: dict[str, Any]) -> list[str]:
    """The numbers as a table, and the whole card."""
    if not card.get("metrics"):
        return []
    better = card.get("better") or {}
    rows = [f"| `{name}` | {value:.4g} | {better.get(name) or ''} |" for name, value in card["metrics"].items()]
    table = "\n".join(["| metric | value | better |", "|---|---|---|", *rows])
    whole = json.dumps(card, indent=1, ensure_ascii=False)
    return [f"## Metrics\n\n{table}", f"The whole card, with what the numbers depend on:\n\n```json\n{whole}\n```"]
