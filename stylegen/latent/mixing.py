"""Style mixing: styles of one image replaced, or partly replaced, by another image's."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from stylegen.bounds import brief
from stylegen.errors import UserError

LAYER_RANGES = {"coarse": (4, 8), "middle": (16, 32), "fine": (64, 2048)}  # resolutions in pixels, inclusive


def mix(ws: Tensor, other: Tensor, layers: Mapping[int, float] | Iterable[int]) -> Tensor:
    """Mixed styles (Karras et al. 2019, section 3.1): ws + weight (other - ws) in `layers`, `other` itself at weight 1.

    Args:
        ws: [N, L, D].
        other: [N or 1, L, D].
        layers: numbers with weights, or numbers with weight 1; without any, the result equals `ws`.
    """
    weights = dict(layers) if isinstance(layers, Mapping) else dict.fromkeys(layers, 1.0)
    mixed = ws.clone()
    for layer, weight in weights.items():
        mixed[:, layer] = torch.lerp(ws[:, layer], other[:, layer].expand_as(ws[:, layer]), weight)
    return mixed


def parse_layers(text: str, slots: Sequence[int], setting: str = "layers") -> dict[int, float]:
    """Style slots by name or number, with weights: "coarse" (4-8 px), "middle" (16-32 px), "fine" (from 64 px), "all",
    "none", "4-7", "0,2-3", "coarse:0.5,middle".

    Args:
        slots: resolution of each slot; see `StyleGenerator.slot_resolutions`.

    Returns:
        layer -> weight, by number; 1 where none is given.

    Raises:
        UserError: an unknown name, a number out of range, a name above the network's resolution, or a weight that
            is not a number.
    """
    weights: dict[int, float] = {}
    for part in str(text).split(","):
        name, _, weight = part.partition(":")
        layers = _slots(name.strip(), text, slots, setting)
        weights |= dict.fromkeys(layers, _weight(weight, text, setting) if weight else 1.0)
    return dict(sorted(weights.items()))


def _slots(name: str, text: str, slots: Sequence[int], setting: str) -> list[int]:
    resolution, num_ws = max(slots), len(slots)
    existing = [known for known, (low, _) in LAYER_RANGES.items() if low <= resolution]
    if name in ("all", "none"):
        return list(range(num_ws)) if name == "all" else []
    if name in LAYER_RANGES:
        low, high = LAYER_RANGES[name]
        if name not in existing:
            raise UserError(
                f"{setting}={brief(text)}",
                rule=f"{name} layers begin at {low} px and this network ends at {resolution} px",
                fix=f"Use {setting}={'|'.join(existing)} or numbers from 0 to {num_ws - 1}",
            )
        return [k for k, side in enumerate(slots) if low <= side <= high]
    match = re.fullmatch(r"(\d{1,4})\s*(?:-\s*(\d{1,4}))?", name)
    layers = list(range(int(match[1]), int(match[2] or match[1]) + 1)) if match else []
    if not layers or layers[-1] >= num_ws:
        raise UserError(
            f"{setting}={brief(text)}",
            rule=f"this network has the style layers 0 to {num_ws - 1}",
            fix=f"Use {setting}={'|'.join(existing)} or numbers from 0 to {num_ws - 1}, as in {setting}=0-{num_ws - 1}",
        )
    return layers


def _weight(text: str, given: str, setting: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        raise UserError(
            f"{setting}={brief(given)}",
            rule="a weight must be a number: 1 replaces the styles, 0.5 gives the mean of both",
            fix=f"Use name:weight, as in {setting}=coarse:0.5",
        )
    return weight


def layers_text(text: str, layers: Mapping[int, float]) -> str:
    """ "coarse styles (4-8 px, layers 0-3)", "styles of layers 2,5", "styles of layers 0-3 (weight 0.5)"."""
    numbers = list(layers)
    if not numbers:
        return "no styles"
    consecutive = len(numbers) > 1 and numbers == list(range(numbers[0], numbers[-1] + 1))
    named = f"{numbers[0]}-{numbers[-1]}" if consecutive else ",".join(map(str, numbers))
    if text in LAYER_RANGES:
        low, high = LAYER_RANGES[text]
        return f"{text} styles ({low}-{high} px, layers {named})"
    weights = sorted(set(layers.values()))
    weighted = "" if weights == [1.0] else f" (weight {', '.join(f'{weight:g}' for weight in weights)})"
    return f"styles of layers {named}{weighted}"
