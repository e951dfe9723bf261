"""Parameters and buffers of every conditioning keep the names and shapes of published snapshots."""

import pytest

from stylegen.layers.conditioning import CONDITIONINGS
from stylegen.networks import build_generator
from tests.support.tiny import SMALL

AFFINE = {"affine.weight": [6, 5], "affine.bias": [6]}
HALF_AFFINE = {"affine.weight": [3, 5], "affine.bias": [3]}
LEARNED = {"scale": [3], "shift": [3]}
BATCH = {"statistics.running_mean": [3], "statistics.running_var": [3]}
TABLE = {"table.weight": [5, 6]}
MLP = {"0.weight": [32, 5], "0.bias": [32], "1.weight": [3, 32], "1.bias": [3]}
EXCITE = {"squeeze.bias": [4], "excite.weight": [3, 4], "excite.bias": [3]}
# For 3 channels and a condition of width 5; recorded before normalization and source were separated.
RECORDED: dict[str, dict[str, list[int]]] = {
    "adain": AFFINE,
    "instance_film": AFFINE,
    "film": AFFINE,
    "layer_film": AFFINE,
    "batch_film": BATCH | AFFINE,
    "scale_only": HALF_AFFINE,
    "shift_only": HALF_AFFINE,
    "self_modulation": BATCH | {f"{head}.{name}": shape for head in LEARNED for name, shape in MLP.items()},
    "se": {"squeeze.weight": [4, 8]} | EXCITE,
    "concat": HALF_AFFINE,
    "cin": TABLE,
    "class_batch": BATCH | TABLE,
    "none": {},
    "batch_norm": LEARNED | BATCH,
    "layer_norm": LEARNED,
    "instance_norm": LEARNED,
    "plain_se": {"squeeze.weight": [4, 3]} | EXCITE,
}


def test_every_conditioning_is_recorded() -> None:
    assert RECORDED.keys() == CONDITIONINGS.keys()


@pytest.mark.parametrize("name", RECORDED)
def test_names_shapes_and_their_order(name: str) -> None:
    state = CONDITIONINGS[name](3, 5).state_dict()
    assert [(key, list(tensor.shape)) for key, tensor in state.items()] == list(RECORDED[name].items())


@pytest.mark.parametrize("name", RECORDED)
def test_a_generator_stores_them_below_each_layer(name: str) -> None:
    state = build_generator("stylegan1", resolution=8, num_classes=3, conditioning=name, **SMALL).state_dict()
    prefixes = [f"synthesis.blocks.{side}.layer{k}.conditioning." for side in (4, 8) for k in (0, 1)]
    assert [key for key in state if ".conditioning." in key] == [p + key for p in prefixes for key in RECORDED[name]]
