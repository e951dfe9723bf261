"""The models that the page may show, by name. The page never sends a path.

A name of a run's snapshot is "<run>/<kimg>", of any other "<stem>".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from stylegen.checkpoints import packaged
from stylegen.checkpoints.find_model import find_native
from stylegen.checkpoints.run_folder import RunFolder
from stylegen.checkpoints.snapshot import find_snapshot
from stylegen.errors import unknown_choice

RUNS = Path("runs")
MAX_SNAPSHOTS = 200  # of a run, the newest ones
_T = TypeVar("_T")


@dataclass(frozen=True)
class Entry:
    """A snapshot.

    Args:
        name: identifier in addresses and messages.
        path: the .safetensors file.
        run: name of its run; None for a single file.
        text: value of `snapshot=` on a command line.
    """

    name: str
    path: Path
    run: str | None
    text: str


@dataclass
class Catalog:
    """Models and runs by name, as they are now: snapshots of a growing run appear by themselves.

    Args:
        given: the setting `snapshot`; None for the packaged models, and the runs in `runs/` of the current folder.

    Raises:
        UserError: no such file or model, or a folder without snapshots.
    """

    given: str | None = None
    _single: Entry | None = field(default=None, init=False)
    _runs: list[RunFolder] = field(default_factory=list, init=False)
    _parent: Path | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.given is None:
            self._parent = RUNS
            return
        path = find_native(self.given)
        if not path.is_dir():
            name = self.given if path == packaged.FOLDER / f"{self.given}.safetensors" else path.stem
            self._single = Entry(name, path, None, self.given)
        elif (path / "snapshots").is_dir() or list(path.glob("*.safetensors")):
            find_snapshot(path)
            self._runs = [RunFolder(path)]
        else:
            self._parent = path
            if not self.runs():
                find_snapshot(path)

    def runs(self) -> dict[str, RunFolder]:
        """Runs by name, in order of their names."""
        folders = list(self._runs)
        if self._parent is not None and self._parent.is_dir():
            folders += [RunFolder(p) for p in sorted(self._parent.iterdir()) if (p / "snapshots").is_dir()]
        return {folder.root.resolve().name: folder for folder in folders}

    def entries(self) -> dict[str, Entry]:
        """Models by name: packaged ones or the given file, then each run's snapshots, the newest first."""
        found = list(self._files())
        for name, run in self.runs().items():
            paths = [*run.snapshots()[-MAX_SNAPSHOTS:]] or sorted(run.root.glob("*.safetensors"))
            found += [Entry(f"{name}/{path.stem}", path, name, str(path)) for path in reversed(paths)]
        return {entry.name: entry for entry in found}

    def entry(self, name: str) -> Entry:
        """A model by name.

        Raises:
            UserError: no such model.
        """
        return _named("model", name, self.entries())

    def run(self, name: str) -> RunFolder:
        """A run by name.

        Raises:
            UserError: no such run.
        """
        return _named("run", name, self.runs())

    def listed(self) -> list[dict[str, Any]]:
        """For the page: name and run of each model."""
        return [{"name": entry.name, "run": entry.run} for entry in self.entries().values()]

    def _files(self) -> Iterator[Entry]:
        if self._single is not None:
            yield self._single
        if self.given is None:
            yield from (Entry(n, packaged.FOLDER / f"{n}.safetensors", None, n) for n in packaged.names())


def _named(kind: str, name: str, table: Mapping[str, _T]) -> _T:
    if name not in table:
        raise unknown_choice(kind, name, table)
    return table[name]
