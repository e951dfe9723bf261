"""The unfinished result of `prepare`: pictures so far, and a journal from which an interrupted run continues.

Both lie hidden beside the output. The spool `.NAME.partial` is a zip without its directory, which is written last;
the journal `.NAME.journal` has a line for each picture that was read, written after the picture itself: a hash over all
lines so far, and JSON. What a killed process had begun is cut off, and so is everything from the first line or picture
on that does not match its hash, so the bytes are those of an undisturbed run.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stylegen.data.prepare.convert import Converted
from stylegen.data.prepare.metadata import FILE_NAME, dump_metadata
from stylegen.data.sources.zip import zip_entry
from stylegen.files import parse_json


class Spool:
    """Pictures in their order, each with its line in the journal.

    Args:
        out: the output to come.
        identity: of the work; a journal with another one is started anew.

    Attributes:
        entries: one for each picture of the source that was dealt with: ``{"left_out": reason}``, or ``{"name",
            "bytes", "crc", "digest", "side", "enlarged", "at", "end", "sha256"}`` with its place in the spool and the
            hash of what is there.
        started_anew: there was a journal of another work.
    """

    def __init__(self, out: Path, identity: str) -> None:
        self.path = out.with_name(f".{out.name}.partial")
        self.journal = out.with_name(f".{out.name}.journal")
        lines = _read_lines(self.journal)
        known = bool(lines) and lines[0] == {"identity": identity}
        self.started_anew = bool(lines) and not known
        out.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        self._file = self.path.open("r+b")
        self.entries = self._sound(lines[1:]) if known else []
        self._chain = ""
        fresh = self.journal.with_name(f"{self.journal.name}.new")
        fresh.write_text("".join(map(self._chained, [{"identity": identity}, *self.entries])), encoding="utf-8")
        fresh.replace(self.journal)
        self._lines = self.journal.open("a", encoding="utf-8")
        self._kept = [entry for entry in self.entries if "name" in entry]
        self._file.truncate(self._kept[-1]["end"] if self._kept else 0)
        self._file.seek(0, os.SEEK_END)
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_STORED)  # continues at the end of the file
        for entry in self._kept:
            self._zip.filelist.append(_member(entry))
            self._zip.NameToInfo[entry["name"]] = self._zip.filelist[-1]

    @property
    def kept(self) -> list[dict[str, Any]]:
        """The entries with a picture."""
        return self._kept

    def add(self, picture: Converted) -> None:
        """The next picture of the source becomes the next of the result."""
        number = len(self._kept)
        name = f"{number // 1000:05d}/img{number:08d}.png"
        self._zip.writestr(zip_entry(name), picture.png)
        self._file.flush()
        at, end = self._zip.filelist[-1].header_offset, self._file.tell()
        entry = {
            "name": name,
            "bytes": len(picture.png),
            "crc": picture.crc,
            "digest": picture.digest,
            "side": picture.side,
            "enlarged": picture.enlarged,
            "at": at,
            "end": end,
            "sha256": self._hash(at, end),
        }
        self._kept.append(entry)
        self.entries.append(entry)
        self._note(entry)

    def leave_out(self, reason: str) -> None:
        """The next picture of the source is not in the result."""
        self.entries.append({"left_out": reason})
        self._note(self.entries[-1])

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """Name and PNG of each picture so far."""
        with self.path.open("rb") as file:
            for entry in self._kept:
                file.seek(entry["end"] - entry["bytes"])
                yield entry["name"], file.read(entry["bytes"])

    def finish_zip(self, metadata: dict[str, Any]) -> None:
        """Add the metadata and the directory: the spool is a dataset then, and still has to be moved."""
        self._zip.writestr(zip_entry(FILE_NAME), dump_metadata(metadata))
        self._zip.close()
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Leave everything as it is, for another run."""
        self._zip.fp = None  # or its destructor would write a directory
        self._file.close()
        self._lines.close()

    def discard(self) -> None:
        """Remove what there is."""
        self.close()
        self.path.unlink(missing_ok=True)
        self.journal.unlink(missing_ok=True)

    def _note(self, line: dict[str, Any]) -> None:
        self._lines.write(self._chained(line))
        self._lines.flush()

    def _chained(self, line: dict[str, Any]) -> str:
        """A line of the journal, which vouches for those before it too."""
        text = json.dumps(line)
        self._chain = _link(self._chain, text)
        return f"{self._chain} {text}\n"

    def _hash(self, at: int, end: int) -> str:
        """Of this part of the spool; the position is its end afterwards."""
        self._file.seek(at)
        digest = hashlib.sha256(self._file.read(end - at)).hexdigest()
        self._file.seek(end)
        return digest

    def _sound(self, entries: list[Any]) -> list[Any]:
        """The entries before the first whose picture is not in the spool, or damaged.

        All are read: after a power failure any page may be missing, not the last alone.
        """
        damaged = (i for i, entry in enumerate(entries) if "name" in entry and not self._holds(entry))
        return entries[: next(damaged, len(entries))]

    def _holds(self, entry: dict[str, Any]) -> bool:
        return self._hash(entry["at"], entry["end"]) == entry["sha256"]


def _read_lines(journal: Path) -> list[Any]:
    """The lines before the first that is cut off or damaged."""
    lines: list[Any] = []
    chain = ""
    try:
        with journal.open(encoding="utf-8") as file:
            for line in file:
                found, _, text = line.rstrip("\n").partition(" ")
                chain = _link(chain, text)
                if found != chain or not line.endswith("\n"):
                    break
                lines.append(parse_json(text))
    except (OSError, ValueError):
        pass
    return lines


def _link(before: str, text: str) -> str:
    return hashlib.sha256(f"{before} {text}".encode()).hexdigest()


def _member(entry: dict[str, Any]) -> zipfile.ZipInfo:
    member = zip_entry(entry["name"])
    member.header_offset, member.CRC = entry["at"], entry["crc"]
    member.file_size = member.compress_size = entry["bytes"]
    return member
