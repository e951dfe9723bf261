import subprocess
import sys
from xml.etree import ElementTree

from stylegen.figures import new_figure, to_svg


def plotted() -> str:
    figure, axes = new_figure(2, 1, size=(6, 5), sharex=True)
    for panel in axes[:, 0]:
        panel.plot([0, 1, 2], [3.0, 1.5, 2.0], marker="o")
        panel.set_title("a < b")
    return to_svg(figure)


def test_equal_figures_are_equal_documents() -> None:
    assert plotted() == plotted()
    root = ElementTree.fromstring(plotted())
    assert root.tag.endswith("svg")
    assert [text.text for text in root.iter() if text.tag.endswith("text")].count("a < b") == 2


def test_matplotlib_is_imported_with_the_first_figure_only() -> None:
    code = "import sys, stylegen.figures; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
