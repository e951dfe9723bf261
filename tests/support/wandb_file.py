"""Reads a W&B offline run back: records in the log format of LevelDB, each a protobuf `Record`."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

BLOCK, FILE_HEADER, RECORD_HEADER = 32768, 7, 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(path: Path) -> Iterator[Record]:
    data = path.read_bytes()
    position, pending = FILE_HEADER, b""
    while position + RECORD_HEADER <= len(data):
        if BLOCK - position % BLOCK < RECORD_HEADER:  # a header never crosses a block; the rest is padding
            position += BLOCK - position % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + RECORD_HEADER])
        if kind == 0 or position + RECORD_HEADER + length > len(data):  # not written yet
            return
        pending += data[position + RECORD_HEADER : position + RECORD_HEADER + length]
        position += RECORD_HEADER + length
        if kind in (FULL, LAST):
            record = Record()
            record.ParseFromString(pending)
            pending = b""
            yield record


def finished_records(path: Path, seconds: float = 60.0) -> list[Record]:
    """All records, once complete: W&B's own process may still write after a run has finished."""
    deadline = time.monotonic() + seconds
    while True:
        found = list(records(path))
        if any(record.WhichOneof("record_type") == "exit" for record in found):
            return found
        assert time.monotonic() < deadline, f"{path} is not finished"
        time.sleep(0.1)


def read_run(path: Path) -> dict[str, Any]:
    """Run id, config, and the history as a list of dicts."""
    run: dict[str, Any] = {"id": "", "name": "", "config": {}, "history": []}
    for record in finished_records(path):
        if record.WhichOneof("record_type") == "run":
            run["id"], run["name"] = record.run.run_id, record.run.display_name
            run["config"] |= {u.key: json.loads(u.value_json) for u in record.run.config.update if u.key}
        elif record.WhichOneof("record_type") == "history":
            items = record.history.item
            run["history"].append({(i.key or "/".join(i.nested_key)): json.loads(i.value_json) for i in items})
    return run
