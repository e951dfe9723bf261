"""Figures by matplotlib, as SVG for reports and PNG for run folders; imported with the first figure.

Equal content gives equal bytes."""

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GRAY = "#1f77b4", "#ff7f0e", "#777777"
_SETTINGS: Any = {
    "svg.hashsalt": "stylegen",  # ids would otherwise be random
    "svg.fonttype": "none",  # text stays text, so that the bytes do not depend on the machine's fonts
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def new_figure(rows: int = 1, columns: int = 1, *, size: tuple[float, float], **options: Any) -> "tuple[Figure, Any]":
    """A figure and its axes [rows, columns].

    Args:
        size: width and height in inches.
        options: further arguments of `Figure.subplots`, such as sharey.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure  # without pyplot there is no backend and no global state

    with rc_context(_SETTINGS):
        figure = Figure(figsize=size, layout="constrained")
        return figure, figure.subplots(rows, columns, squeeze=False, **options)


def to_png(figure: "Figure", dpi: int = 100) -> bytes:
    """The figure as PNG, in the font that comes with matplotlib."""
    from matplotlib import rc_context

    content = io.BytesIO()
    with rc_context(_SETTINGS):
        figure.savefig(content, format="png", dpi=dpi, metadata={"Software": None})
    return content.getvalue()


def to_svg(figure: "Figure") -> str:
    """The figure as one SVG document, for any browser."""
    from matplotlib import rc_context

    text = io.StringIO()
    with rc_context(_SETTINGS):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
