"""Reads YAML files of bounded size and depth. Aliases are refused: ten lines can expand to gigabytes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

MAX_BYTES = 2**18  # fifty times the size of a run's config.yaml
MAX_DEPTH = 32


def load_yaml(path: Path) -> Any:
    """The file's content as plain dicts, lists and values.

    Raises:
        OSError: it cannot be read.
        ValueError: too large, too deep, with anchors or aliases, or not YAML.
    """
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    try:
        _check_tokens(content)
        return OmegaConf.to_container(OmegaConf.create(content.decode()))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"it is not valid YAML ({(str(error) or type(error).__name__).splitlines()[0]})") from error


def dump_yaml(tree: Mapping[str, Any]) -> str:
    """Plain values as YAML that `load_yaml` reads."""
    return OmegaConf.to_yaml(OmegaConf.create(dict(tree)))


def _check_tokens(content: bytes) -> None:
    depth = 0
    for token in yaml.scan(content):
        if isinstance(token, yaml.AliasToken | yaml.AnchorToken):
            raise ValueError(
                f"line {token.start_mark.line + 1} has an anchor or alias (& or *), which is not supported"
            )
        depth += isinstance(token, yaml.BlockMappingStartToken | yaml.BlockSequenceStartToken)
        depth += isinstance(token, yaml.FlowMappingStartToken | yaml.FlowSequenceStartToken)
        depth -= isinstance(token, yaml.BlockEndToken | yaml.FlowMappingEndToken | yaml.FlowSequenceEndToken)
        if depth > MAX_DEPTH:
            raise ValueError(f"line {token.start_mark.line + 1} is nested more than {MAX_DEPTH} deep")
