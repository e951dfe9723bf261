"""Deselects kinds without golden files, which pytest would report as skipped."""

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    empty = [
        i for i in items if any("empty parameter set" in m.kwargs.get("reason", "") for m in i.iter_markers("skip"))
    ]
    items[:] = [i for i in items if i not in empty]
    config.hook.pytest_deselected(items=empty)
