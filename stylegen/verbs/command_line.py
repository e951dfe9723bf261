"""Overrides as people type them -> overrides as Hydra's grammar wants them.

To Hydra `seeds=0-15,40` is a sweep, and a path with `~`, `(`, `#`, `=` or an accent is a grammar error. Values of keys
that hold paths, seeds, layers, classes or comparisons are therefore quoted before Hydra sees them. Imports no torch.
"""

import re

QUOTED_KEYS = {
    *("path", "out", "output_dir", "resume", "snapshot", "source", "images", "init", "weights", "cache_dir"),
    *("statistics", "export", "set"),
    *("seeds", "mix_seeds", "layers", "name", "project", "entity", "labels", "background"),
}
ALIASES = {"class": "label"}  # a word of Python's own, which no settings class can have as a field


def quote_override(override: str) -> str:
    """`seeds=0-3,7` -> `seeds='0-3,7'`; anything else, quoted values and null come back as they were."""
    match = re.fullmatch(r"([+~]{0,2}[\w./@-]+)=(.*)", override, re.DOTALL)
    if match is None:
        return override
    key, value = match.groups()
    key = ALIASES.get(key, key)
    last = re.split(r"[./@]", key)[-1]
    if last not in QUOTED_KEYS or value in ("", "null") or value[0] in "'\"" or value.startswith("${"):
        return f"{key}={value}"
    # A quote is escaped by a backslash, so backslashes before a quote, the closing one too, are doubled.
    escaped = re.sub(r"(\\+)(?='|$)", r"\1\1", value).replace("'", "\\'")
    return f"{key}='{escaped}'"


def key_of(override: str) -> str:
    """The key of an override without its prefix: `+data.path=x` -> `data.path`."""
    return override.lstrip("+~").split("=", 1)[0].split("@", 1)[0]
