"""Former names of settings and groups."""

from typing import Any

# Former -> current name, also as a prefix (`fidelity.metrics`): refused in commands, read in files of earlier runs.
RENAMED = {
    "fidelity": "evaluation",
    "data.labelled": "data.labeled",
    "loss.unlabelled_weight": "loss.unlabeled_weight",
    "labelled_seeds": "labeled_seeds",
    "neighbours": "neighbors",
}


def rename_settings(tree: dict[str, Any]) -> None:
    """Replace former names in a tree of settings; the values are unchanged."""
    for old, new in RENAMED.items():
        *sections, name = old.split(".")
        node: Any = tree
        for section in sections:
            node = node.get(section) if isinstance(node, dict) else None
        if isinstance(node, dict) and name in node:
            node.setdefault(new.rsplit(".", 1)[-1], node.pop(name))
