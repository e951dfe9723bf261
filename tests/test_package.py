"""The installed package: the wheel contains conf/, and pinned versions satisfy the requirements."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]


def test_the_wheel_works_without_the_checkout(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
        names = archive.namelist()
    page = {"stylegen/viewer/page/index.html", "stylegen/viewer/page/main.js", "stylegen/viewer/static_page/worker.js"}
    assert {"stylegen/py.typed", *page} <= set(names)
    assert not [n for n in names if n.startswith("tests")]
    code = (
        "from stylegen.config.compose import compose_config\n"
        "from stylegen.config.settings import CONF\n"
        "print(CONF)\n"
        "print(compose_config('train', []).batch_size)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "installed"), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(tmp_path / "installed" / "stylegen" / "conf"), "8"]


def test_the_pinned_versions_satisfy_the_requirements() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    pinned = {re.sub(r"[-_.]+", "-", name).lower(): Version(version) for name, version in pins.items()}
    extras = [r for group in project["optional-dependencies"].values() for r in group]
    for text in [*project["dependencies"], *extras]:
        requirement = Requirement(text)
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name != "stylegen":
            assert name in pinned, f"{name} is not pinned in constraints.txt"
            assert pinned[name] in requirement.specifier, text
