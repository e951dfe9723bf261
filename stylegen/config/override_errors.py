"""Errors of Hydra and OmegaConf as errors of stylegen, with the override and the nearest known names."""

import re
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ValidationError

from stylegen.bounds import brief, check
from stylegen.config.command_line import OTHER_NAMES, key_of, quote_override
from stylegen.config.schema import groups_of, options_with, quoted_names, sections_of
from stylegen.config.sections import Section, hints
from stylegen.config.settings import CONF
from stylegen.errors import UserError, unknown_choice


def explain(verb: str, overrides: Sequence[str], error: Exception, chosen: DictConfig) -> UserError:
    """The error of a composition on one line, with the override and the nearest known names.

    Args:
        overrides: `key=value` and `group=option`, as typed.
        chosen: the composition without the settings among the overrides.
    """
    cause = error.__cause__
    messages = [str(error)] + ([str(cause)] if cause else [])
    message = messages[-1].splitlines()[0].strip()[:200] if messages[-1] else type(error).__name__
    if refused := _option_problem(messages[0], overrides):
        return refused
    known = _known_keys(chosen)
    for override in overrides:
        key = key_of(override)
        if "=" not in override and not override.startswith(("~", "-")):
            rule = "an override must have the form setting=value"
            return UserError(brief(override, 80), rule=rule, fix=f"Use {key}=VALUE")
        if key not in known and (refused := _setting_of_others(verb, override, known)):
            return refused
        if override.startswith("-") or (key not in known and not (CONF / key).is_dir()):
            rule = f"{verb} has no setting or group of this name"
            return UserError(brief(override, 80), rule=rule, fix=_nearest(key, known))
    named = [o for o in reversed(overrides) if key_of(o) in messages[-1] or key_of(o) in messages[0]]
    culprit = max(
        named, key=lambda o: len(key_of(o)), default=" ".join(overrides)
    )  # batch_size is a substring of other keys
    if message.startswith("Ambiguous value"):  # Hydra's message for VALUE,VALUE
        return UserError(
            brief(culprit, 80),
            rule="a run takes one value",
            fix=f"Use {verb} -m {brief(culprit)} for one run per value",
        )
    full_key = getattr(cause or error, "full_key", None)
    problem = brief(culprit, 80)
    if full_key and not problem.lstrip("+~").startswith(str(full_key)):
        problem += f" ({full_key})"
    if "is not a ListConfig" in message:
        key, _, value = culprit.partition("=")
        return UserError(problem, rule="must be a list", fix=f"Use {key}=[{value}]")
    if isinstance(cause or error, ValidationError) and (refused := _value_problem(verb, culprit, chosen)):
        return refused
    return UserError(
        problem, rule=message.removesuffix("."), fix=f"See `python -m stylegen {verb} --help` for settings and types"
    )


def _option_problem(message: str, overrides: Sequence[str]) -> UserError | None:
    """For options of a group that do not exist, or are given twice."""
    option = re.search(r"Could not (?:find|load) '(?:.*/)?([^'/]+)/([^'/]*)'", message)
    found = (option[1], option[2]) if option else None
    if "must be a string or a list" in message:
        given = ((key_of(o), o.partition("=")[2]) for o in overrides if "=" in o and "=[" not in o)
        found = next(((k, v) for k, v in given if (CONF / k).is_dir() and not (CONF / k / f"{v}.yaml").is_file()), None)
    if found:
        return unknown_choice(*found, [p.stem for p in (CONF / found[0]).glob("*.yaml")])
    if twice := re.search(r"schema/([^@]+)@\S+?\.(\w+) appears more than once", message):
        culprit = next((o for o in overrides if key_of(o) == twice[1]), twice[1])
        return UserError(brief(culprit, 80), rule=f"{twice[2]} is given twice", fix=f"Use each of the {twice[1]} once")
    return None


def _value_problem(verb: str, override: str, chosen: DictConfig) -> UserError | None:
    """For a value of another type, which `check` refuses with the bounds of the setting."""
    section, _, name = key_of(override).rpartition(".")
    tree: Any = OmegaConf.to_container(chosen)
    try:
        value = OverridesParser.create().parse_override(quote_override(override, quoted_names(verb))).value()
        check(key_of(override), value, sections_of(verb, tree)[section][name])
    except UserError as error:
        return error
    except (HydraException, LookupError):
        pass
    return None


def _setting_of_others(verb: str, override: str, known: Sequence[str]) -> UserError | None:
    """For a setting that only other options of its group have, as `generator.use_noise` with StyleGAN3."""
    key = key_of(override)
    group, _, name = key.partition(".")
    section, name = groups_of(verb).get(group), name.partition(".")[0]
    if section is not None and section.kind == "several":
        if name not in options_with(section, key) or f"{group}.{name}" in known:
            return None
        fix = f"Use {group}={name}, or {group}=[{name},...] with others"
        return UserError(brief(override, 80), rule=f"{name} is not among the {group} of this run", fix=fix)
    if section is not None and section.optional and not any(known_key.startswith(f"{group}.") for known_key in known):
        return _setting_of_none(section, group, override)
    options = [] if section is None else options_with(section, key)
    rule, fix = f"the chosen {group} has no such setting", f"Omit {key}, or use {group}={' or '.join(options)}"
    return UserError(brief(override, 80), rule=rule, fix=fix) if options else None


def _setting_of_none(section: Section, group: str, override: str) -> UserError | None:
    """For a setting of an optional group, as `augment.p` with `augment=none`."""
    key = key_of(override)
    options = options_with(section, key)
    if key.partition(".")[2] in hints(section.parts, section.without):
        options = list(section.options) or sorted({path.stem for path in (CONF / group).glob("*.yaml")} - {"none"})
    fix = f"Add {' or '.join(f'{group}={option}' for option in options)}"
    return UserError(brief(override, 80), rule=f"{group}=none has no settings", fix=fix) if options else None


def _nearest(key: str, known: Sequence[str]) -> str:
    import difflib

    key = key.lstrip("-").replace("-", "_")
    other = OTHER_NAMES.get(key.lower(), "")
    if other.partition(" ")[0] in known or (other and (CONF / other.partition(" ")[0]).is_dir()):
        return f"Use {other}"
    tails = {k: k.rsplit(".", 1)[-1] for k in known}
    near = difflib.get_close_matches(key, known, 3, 0.6)
    near += [k for k, t in tails.items() if t == key.rsplit(".", 1)[-1] and k not in near]
    near += [k for k in known if tails[k] in difflib.get_close_matches(key.rsplit(".", 1)[-1], tails.values(), 2, 0.7)]
    names = list(dict.fromkeys(near))[:3]
    hint = f"Did you mean {' or '.join(names)}? " if names else ""
    return f"{hint}`--help` lists all settings"


def _known_keys(config: DictConfig) -> list[str]:
    """Dotted keys of a composition."""
    found: list[str] = []

    def walk(node: Any, prefix: str) -> None:
        for key in node:
            found.append(f"{prefix}{key}")
            value = node._get_node(key)  # unresolved: the error may be in an interpolation
            if isinstance(value, DictConfig) and not (value._is_none() or value._is_missing()):
                walk(value, f"{prefix}{key}.")

    walk(config, "")
    return found
