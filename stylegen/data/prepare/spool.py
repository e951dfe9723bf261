"""The unfinished output of `prepare`: the images so far, and a journal from which an interrupted run continues.

Both are hidden files beside the output. The spool `.NAME.partial` is a zip archive without its directory; the journal
`.NAME.journal` has one line for each image of the source, written after the image itself: a hash over all lines so far,
and JSON. A restart discards everything from the first damaged line or image on and rewrites the zip up to there
in place. Equal input gives equal bytes, so this needs no second copy, may be interrupted too, and gives the bytes of an
uninterrupted run.
"""

import hashlib
import json
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from stylegen.data.metadata import FILE_NAME, dump_metadata
from stylegen.data.prepare.image_conversion import Converted
from stylegen.data.sources.zip import zip_entry
from stylegen.files import move_durably, parse_json, write_text


class Spool:
    """Images in order, each with its line in the journal.

    Args:
        out: the final output.
        identity: hash of source and settings; a journal with another identity is discarded.

    Attributes:
        entries: one for each processed image of the source: ``{"left_out": reason}``, or ``{"name", "bytes", "end",
            "sha256", "crc", "digest", "side", "enlarged"}`` with the position and hash of its PNG in the spool.
        kept: the entries with an image.
        started_anew: whether a journal with another identity was discarded.
    """

    def __init__(self, out: Path, identity: str) -> None:
        self.path = out.with_name(f".{out.name}.partial")
        self.journal = out.with_name(f".{out.name}.journal")
        self.entries: list[dict[str, Any]] = []
        self.kept: list[dict[str, Any]] = []
        lines = _read_lines(self.journal)
        known = bool(lines) and lines[0] == {"identity": identity}
        self.started_anew = bool(lines) and not known
        out.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        self._file = self.path.open("r+b")
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_STORED)
        self._restore(lines[1:] if known else [])
        self._chain = ""
        write_text(self.journal, "".join(map(self._chained, [{"identity": identity}, *self.entries])))
        self._lines = self.journal.open("a", encoding="utf-8")

    def add(self, image: Converted) -> None:
        """Append an image to the output."""
        number = len(self.kept)
        name = f"{number // 1000:05d}/img{number:08d}.png"
        entry = {
            "name": name,
            "bytes": len(image.png),
            "end": self._write(name, image.png),
            "sha256": hashlib.sha256(image.png).hexdigest(),
            "crc": image.crc,
            "digest": image.digest,
            "side": image.side,
            "enlarged": image.enlarged,
        }
        self.kept.append(entry)
        self._record(entry)

    def leave_out(self, reason: str) -> None:
        """Record that the next image of the source is left out, and why."""
        self._record({"left_out": reason})

    def images(self) -> Iterator[tuple[str, bytes]]:
        """Name and PNG of each image so far."""
        with self.path.open("rb") as file:
            for entry in self.kept:
                yield entry["name"], _read(file, entry)

    def finish_zip(self, out: Path, metadata: dict[str, Any]) -> None:
        """Add the metadata and the directory, and move the archive to `out`."""
        self._zip.writestr(zip_entry(FILE_NAME), dump_metadata(metadata))
        self._zip.close()
        self._file.close()
        move_durably(self.path, out)

    def close(self) -> None:
        """Close the files and keep them for another run."""
        self._lines.close()
        if not self._file.closed:
            with suppress(OSError):  # a full disk may refuse the directory, which is cut off below anyway
                self._zip.close()
            with self._file:
                self._file.truncate(self._end)

    def discard(self) -> None:
        """Delete spool and journal."""
        self.close()
        self.path.unlink(missing_ok=True)
        self.journal.unlink(missing_ok=True)

    def _restore(self, entries: list[dict[str, Any]]) -> None:
        """Rewrite the images of an interrupted run, up to the first damaged or missing PNG.

        Reads all of them: after a power failure any page of the file may be missing, not only the last.
        """
        with self.path.open("rb") as old:
            for entry in entries:
                if "name" in entry:
                    png = _read(old, entry)
                    if hashlib.sha256(png).hexdigest() != entry["sha256"]:
                        break
                    self._write(entry["name"], png)
                    self.kept.append(entry)
                self.entries.append(entry)
        self._file.truncate(self._end)

    @property
    def _end(self) -> int:
        return self.kept[-1]["end"] if self.kept else 0

    def _write(self, name: str, png: bytes) -> int:
        """Append a member; returns the position of its end."""
        self._zip.writestr(zip_entry(name), png)
        self._file.flush()
        return self._file.tell()

    def _record(self, entry: dict[str, Any]) -> None:
        self.entries.append(entry)
        self._lines.write(self._chained(entry))
        self._lines.flush()

    def _chained(self, line: dict[str, Any]) -> str:
        """A line of the journal, with a hash of this line and all lines before it."""
        text = json.dumps(line)
        self._chain = _link(self._chain, text)
        return f"{self._chain} {text}\n"


def _read(file: Any, entry: dict[str, Any]) -> bytes:
    file.seek(entry["end"] - entry["bytes"])
    data: bytes = file.read(entry["bytes"])
    return data


def _read_lines(journal: Path) -> list[Any]:
    """The lines before the first that is truncated or damaged."""
    lines: list[Any] = []
    chain = ""
    with suppress(OSError, ValueError), journal.open(encoding="utf-8") as file:
        for line in file:
            found, _, text = line.rstrip("\n").partition(" ")
            chain = _link(chain, text)
            if found != chain or not line.endswith("\n"):
                break
            lines.append(parse_json(text))
    return lines


def _link(before: str, text: str) -> str:
    return hashlib.sha256(f"{before} {text}".encode()).hexdigest()
