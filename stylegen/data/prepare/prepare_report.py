"""Results of `prepare`: the record, the report beside the dataset, and notes for the user."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stylegen.data.prepare.find_labels import Labels
from stylegen.data.prepare.image_conversion import HEIC_NOT_READ, why_not_read
from stylegen.data.prepare.spool import Spool
from stylegen.data.sources.source import Source
from stylegen.files import write_text


@dataclass(frozen=True)
class Prepared:
    """What was written and what was left out.

    Attributes:
        out, report: the dataset, and the JSON report beside it (source of each file, reason for each image left out).
        found: images in the source, in any format; the sum of the next three.
        written, left_out, not_chosen (by max_images): numbers of images.
        enlarged: number of images with fewer pixels than the result.
        continued: number of images that an interrupted run had processed.
        metadata: content of the new dataset.json.
        notices: notes for the user, one sentence each.
    """

    out: Path
    report: Path
    found: int
    written: int
    left_out: int
    not_chosen: int
    enlarged: int
    continued: int
    metadata: dict[str, Any]
    notices: list[str] = field(default_factory=list)


def write_report(out: Path, spool: Spool, source: Source, keys: Sequence[str], metadata: dict[str, Any]) -> Path:
    """Write the report and return its path."""
    left_out = [
        {"file": key, "reason": entry["left_out"]}
        for key, entry in zip(keys, spool.entries, strict=True)
        if "left_out" in entry
    ]
    left_out += [{"file": key, "reason": why_not_read(key)} for key in source.unread]
    files = {entry["name"]: key for key, entry in zip(keys, spool.entries, strict=True) if "name" in entry}
    report = {
        "dataset": out.name,
        **{key: metadata[key] for key in ("fingerprint", "prepared")},
        "found": len(source.keys()) + len(source.unread),
        "written": len(files),
        "not_chosen": len(source.keys()) - len(keys),
        "left_out": left_out,
        "files": files,
    }
    path = out.with_name(f"{out.name}.report.json")
    write_text(path, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return path


def notices(spool: Spool, source: Source, labels: str, keys: Sequence[str], found: Labels) -> list[str]:
    """Notes for the user, one sentence each."""
    notices = _heic_notice(source)
    if spool.started_anew:
        notices.append("an interrupted run with another source or other settings was discarded")
    folders = {key.partition("/")[0] for key in keys}
    if found.of is None and labels == "auto" and 1 < len(folders) < len(keys) and all("/" in key for key in keys):
        notices.append(f"no labels; labels=folders uses the {len(folders)} subfolders as classes")
    return notices


def _heic_notice(source: Source) -> list[str]:
    count = sum(why_not_read(key) == HEIC_NOT_READ for key in source.unread)
    return [f"{count} HEIC file(s) left out: convert them to JPEG or PNG first"] * (count > 0)
