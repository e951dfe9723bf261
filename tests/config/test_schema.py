"""Every setting of every verb, found by walking the composed schema, refuses invalid values by its full key."""

import math
import pickle
import typing
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from stylegen.bounds import DEVICES, Choice, Range, unwrap
from stylegen.config import schema
from stylegen.config.compose import compose_config
from stylegen.config.rules import check_settings
from stylegen.config.sections import as_dict, flatten
from stylegen.data.dataset import CACHES
from stylegen.errors import UserError
from stylegen.exports import FORMATS
from stylegen.exports.export_source import INPUTS
from stylegen.exports.export_source import NOISES as EXPORTED_NOISES
from stylegen.latent.sampler import NOISE_MODES
from stylegen.metrics.protocol.evaluation_settings import LABELS, NOISES
from stylegen.runs.build import build_dataset, build_step
from stylegen.training.observers.wandb import MODES
from stylegen.training.optimizer import DECAYS
from stylegen.training.precision import PRECISIONS
from tests.support.tiny import TINY_RUN

NETWORKS = ["generator=stylegan1", "discriminator=stylegan1", "growth=stylegan1"]
COMMANDS = [
    ("train", [*TINY_RUN, "augment=ada", "regularizers=r1_path_length"]),
    ("train", [*TINY_RUN, *NETWORKS, "augment=diffaugment", "growth.batch_sizes=[8]"]),
    *((verb, []) for verb in ("sample", "evaluate", "sensitivity", "prepare", "convert", "export", "study", "bench")),
]
NEVER = [math.nan, math.inf, -math.inf, 1e300, -1e300, 10**5000, {}, {"a": 1}]


@pytest.fixture(scope="module", params=COMMANDS, ids=lambda command: " ".join([command[0], *command[1][-2:]]))
def composed(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    verb, overrides = request.param
    return verb, as_dict(compose_config(verb, overrides))


def annotated(verb: str, config: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each setting's dotted key and annotation."""
    for section, hints in schema.sections_of(verb, config).items():
        for name, hint in hints.items():
            yield (f"{section}.{name}" if section else name), hint


def changed(config: dict[str, Any], key: str, *value: Any) -> dict[str, Any]:
    """The configuration with another value under `key`, or without it."""
    first, _, rest = key.partition(".")
    if rest:
        return config | {first: changed(config[first], rest, *value)}
    return {name: old for name, old in config.items() if name != first} | dict.fromkeys([first][: len(value)], *value)


def refusal(verb: str, config: dict[str, Any]) -> str | None:
    try:
        schema.check_config(verb, config)
    except UserError as error:
        return str(error)
    return None


def test_what_no_setting_may_be(composed: tuple[str, dict[str, Any]]) -> None:
    verb, config = composed
    for key, hint in annotated(verb, config):
        kind, optional, _ = unwrap(hint)
        wrong = [*NEVER, *([] if kind is bool or bool in typing.get_args(kind) else [True])]
        number = kind in (int, float, bool) or int in typing.get_args(kind)  # or auto
        wrong += ["a\nb", "word", [1.0]] if number else ["a\nb", 1, [["x"]]]
        for value in wrong:
            message = refusal(verb, changed(config, key, value))
            assert message is not None, (key, type(value))
            assert key in message
            assert "\n" not in message
            assert len(message) < 300
        assert "cannot be deleted" in (refusal(verb, changed(config, key)) or ""), key
        assert optional or f"{key}=null" in (refusal(verb, changed(config, key, None)) or "")


def test_every_number_has_bounds(composed: tuple[str, dict[str, Any]]) -> None:
    for key, hint in annotated(*composed):
        kind, _, marks = unwrap(hint)
        if kind in (int, float) or "int" in str(kind) or "float" in str(kind):
            assert any(isinstance(mark, Range) for mark in marks), key


def test_unknown_settings_and_groups_without_settings(composed: tuple[str, dict[str, Any]]) -> None:
    verb, config = composed
    assert "foo" in (refusal(verb, config | {"foo": 1}) or "")
    for section in [name for name, value in config.items() if isinstance(value, dict)]:
        assert "zzz" in (refusal(verb, config | {section: config[section] | {"zzz": 1}}) or "")
        for value in (None, 1, [], "x"):
            message = refusal(verb, config | {section: value})
            assert (message and section in message) or (section in ("augment", "growth", "regularizers") and not value)


def test_the_least_that_bounds_allow_makes_networks_or_is_refused() -> None:
    """No division by zero, no empty layer."""
    verb, overrides = COMMANDS[0]
    config = as_dict(compose_config(verb, [*overrides, "generator.mapping_layers=1", "data.max_images=16"]))
    dataset = build_dataset(schema.build_settings(verb, config))
    outcomes: dict[str, list[str]] = {"built": [], "refused": []}
    for key, hint in annotated(verb, config):
        kind, _, marks = unwrap(hint)
        limits = next((mark for mark in marks if isinstance(mark, Range)), None)
        if limits is not None and not key.startswith("data."):
            least = limits.least if kind is int else float(limits.least)
            value = least if kind in (int, float) else [least] * limits.count[0]
            new = changed(config, key, value)
            try:
                schema.check_config(verb, new)
                settings = schema.build_settings(verb, new)
                check_settings(settings, dataset)
                if "." in key and not key.startswith(("evaluation.", "trainer.", "logger.")):
                    build_step(settings, dataset)
                outcomes["built"].append(key)
            except UserError:
                outcomes["refused"].append(key)
    assert len(outcomes["built"]) > 50
    assert outcomes["refused"]


def test_choices_equal_the_codes(composed: tuple[str, dict[str, Any]]) -> None:
    """The names are listed with the settings, for `--help`, and where they are used; both lists agree."""
    used = {
        "precision": PRECISIONS,
        "data.cache": CACHES,
        "evaluation.noise": NOISES,
        "evaluation.labels": LABELS,
        "optimizer.decay": DECAYS,
        "logger.mode": MODES,
        "noise": NOISE_MODES,
        "device": DEVICES,
    }
    verb, config = composed
    if verb == "export":
        used |= {"format": FORMATS, "input": INPUTS, "noise": EXPORTED_NOISES}
    for key, hint in annotated(verb, config):
        choice = next((mark for mark in unwrap(hint)[2] if isinstance(mark, Choice)), None)
        if choice is not None:
            assert set(choice.names) == set(used.get(key, choice.names)), key
            assert "Did you mean" in (refusal(verb, changed(config, key, f"{choice.names[0]}x")) or ""), key
        else:
            assert key not in used


def test_settings_that_may_change_when_a_run_is_resumed() -> None:
    _, overrides = COMMANDS[1]
    keys = flatten(as_dict(compose_config("train", overrides)))
    free = {key for key in keys if not schema.fixed_on_resume(key)}
    groups = ("trainer.", "logger.", "evaluation.")
    assert {key for key in free if not key.startswith(groups)} == {
        *("total_kimg", "resume", "output_dir", "init", "auto", "batch_per_device", "bad_steps", "attempts"),
        *("sample_count", "figures", "checkpoints", "max_hours", "threads", "compile", "data.path", "data.workers"),
        "data.cache",
        *(f"{what}_every_kimg" for what in ("log", "sample", "snapshot", "checkpoint")),
    }
    assert {key for key in keys if key.startswith(groups)} <= free


def test_settings_are_frozen_and_can_be_pickled() -> None:
    settings = compose_config("train", COMMANDS[1][1])
    for record in (settings, settings.optimizer, settings.data, settings.generator, settings.regularizers.r1):
        with pytest.raises(FrozenInstanceError):
            record.seed = 1
    copy = pickle.loads(pickle.dumps(settings))
    assert as_dict(copy) == as_dict(settings)
    assert (copy.generator.name, copy.generator.z_dim) == ("stylegan1", 8)
    assert not hasattr(copy.generator, "no_such_setting")
