"""Hostile and damaged files have no effect and give one line; valid ones are read whole."""

import io
import os
import random
import resource
import subprocess
import sys
import time
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path
from typing import Any

import fickling.analysis
import fickling.fickle
import numpy as np
import picklescan.scanner
import pytest
import torch

from stylegen.checkpoints.foreign_file import read_foreign, read_stream
from stylegen.checkpoints.importers.foreign_kinds import import_model
from stylegen.checkpoints.pickle_data import Record
from stylegen.checkpoints.pickle_names import NAMES
from stylegen.errors import UserError
from tests.support import foreign_files
from tests.support.expanding_pickles import EXHAUSTING, EXPANDING
from tests.support.foreign_files import dump
from tests.support.golden import files, load
from tests.support.hostile_pickles import CALLS, MARKER, OTHERS, bombs, program, torch_archive

MUTATIONS = 2000


def refuse(path: Path) -> str:
    """The one-line error of a file that must have no effect."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(UserError) as error:
        import_model(path)
    message = str(error.value)
    assert "\n" not in message
    assert str(path) in message
    assert not path.with_name(MARKER).exists()
    assert time.process_time() - start < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB
    return message


@pytest.mark.parametrize("name", CALLS)
def test_calls_of_functions(name: str, tmp_path: Path) -> None:
    """As a pickle, and in an archive of torch.save: refused by name. The oracles agree that each is dangerous."""
    call = CALLS[name](tmp_path / "x.pkl")
    content = program(bytes(call))
    (tmp_path / "x.pkl").write_bytes(content)
    message = refuse(tmp_path / "x.pkl")
    assert "is not on the list of names" in message
    assert call.name in message or any(isinstance(a, type(call)) and a.name in message for a in call.arguments)
    torch_archive(tmp_path / "x.pt", content)
    assert "is not on the list of names" in refuse(tmp_path / "x.pt")
    assert dangerous(content), f"neither oracle objects to {name}"


def dangerous(content: bytes) -> bool:
    """Whether picklescan or fickling objects to a pickle."""
    found = picklescan.scanner.scan_pickle_bytes(io.BytesIO(content), "x")
    severity = fickling.analysis.check_safety(fickling.fickle.Pickled.load(content)).severity
    return found.issues_count + found.suspicious_count > 0 or severity > fickling.analysis.Severity.LIKELY_SAFE


@pytest.mark.parametrize("name", OTHERS | EXHAUSTING)
def test_other_attacks(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes((OTHERS | EXHAUSTING)[name](tmp_path / "x.pkl"))
    refuse(tmp_path / "x.pkl")


@pytest.mark.parametrize("name", EXPANDING)
def test_files_whose_values_are_far_larger(name: str, tmp_path: Path) -> None:
    content, message = EXPANDING[name]
    (tmp_path / "x.pkl").write_bytes(content)
    assert message in refuse(tmp_path / "x.pkl")


def test_hostile_archives(tmp_path: Path) -> None:
    for path in bombs(tmp_path).values():
        refuse(path)


def test_no_name_on_the_list_is_dangerous_to_picklescan() -> None:
    """Our list against theirs, except names that we replace by functions of our own."""
    replaced = {("torch.storage", "_load_from_bytes"), ("_codecs", "encode"), ("builtins", "object")}
    for module, name in NAMES.keys() - replaced:
        content = program(f"c{module}\n{name}\n".encode())
        assert not picklescan.scanner.scan_pickle_bytes(io.BytesIO(content), "x").issues_count, (module, name)


VALID: dict[str, Any] = {
    "parameter": torch.nn.Parameter(torch.arange(6.0).reshape(2, 3)),
    "half": torch.arange(3).half(),
    "scalar": torch.tensor(2.5),
    "empty": torch.zeros(0),
    "channels last": torch.arange(96.0).reshape(1, 6, 4, 4).to(memory_format=torch.channels_last),
    "view": torch.arange(24.0).reshape(4, 6)[1:3, ::2],
    "ordered": OrderedDict(b=1, a=2),
    "array": np.arange(6, dtype=np.float64).reshape(2, 3).T,
    "big-endian": np.arange(3, dtype=">i4"),
    "number": np.float64(1.5),
    "others": [None, True, -(2**40), 1.5, "Zürich", b"\0\xff", ("a",), {"s"}],
    "namespace": Namespace(size=32),
}


@pytest.mark.parametrize("protocol", range(6))
def test_values_of_every_protocol(protocol: int, tmp_path: Path) -> None:
    assert_valid(read_foreign(dump(VALID, tmp_path / "x.pkl", protocol)))


@pytest.mark.parametrize("archive", [True, False])
def test_values_of_torch_save(archive: bool, tmp_path: Path) -> None:
    kept = {name: value for name, value in VALID.items() if not isinstance(value, np.ndarray | np.generic)}
    torch.save(kept, tmp_path / "x.pt", _use_new_zipfile_serialization=archive)
    assert_valid(read_foreign(tmp_path / "x.pt"))


def assert_valid(found: dict[str, Any]) -> None:
    for name, value in found.items():
        expected = VALID[name]
        if isinstance(expected, torch.Tensor | np.ndarray):
            theirs = (
                expected
                if isinstance(expected, torch.Tensor)
                else torch.tensor(expected.astype(expected.dtype.newbyteorder("=")))
            )
            assert value.dtype == theirs.dtype
            assert torch.equal(value, theirs), name
        elif isinstance(expected, Namespace):
            assert isinstance(value, Record)
            assert (value.module, value.name, value.state) == ("argparse", "Namespace", vars(expected))
        else:
            assert value == expected, name


def test_every_prefix_is_refused(tmp_path: Path) -> None:
    whole = dump({"a": torch.zeros(1), "b": "x"}, tmp_path / "x.pkl").read_bytes()
    for length in range(len(whole)):
        with pytest.raises(UserError):
            read_stream(io.BytesIO(whole[:length]), length, "x.pkl")


MEASURE = """
import resource, sys, time
from pathlib import Path
from stylegen.checkpoints.foreign_file import read_foreign
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
content = read_foreign(Path(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, time.process_time() - start)
"""


def test_time_and_memory_of_a_published_size(tmp_path: Path) -> None:
    """30 million parameters: under 10 s, and memory of less than twice the file beyond the program's own."""
    state = {f"synthesis.l{k}.weight": torch.zeros(300_000) for k in range(100)}
    path = dump({"G_ema": foreign_files.module_of(state, {}, "Generator", "")}, tmp_path / "x.pkl")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True, timeout=300
    )
    kilobytes, seconds = map(float, done.stdout.split())
    assert kilobytes * 1024 < 2 * path.stat().st_size
    assert seconds < 10


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"hello", b"GIF89a", b"\x10\0\0\0\0\0\0\0{}", b"N.N."])
def test_other_files(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(content)
    refuse(tmp_path / "x.pkl")


@pytest.mark.parametrize(
    ("module", "message"),
    [("timm.models.layers", "StyleGAN-XL"), ("tfutil", "ProGAN"), ("torch.nn.modules.conv", "XL")],
)
def test_programs_known_by_a_name(module: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(program(f"c{module}\nNetwork\n".encode()))
    assert message in refuse(tmp_path / "x.pkl")


def test_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.pkl")
    with pytest.raises(UserError, match="not a file"):
        read_foreign(tmp_path / "x.pkl")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_foreign(tmp_path / "x.pkl")


def test_mutations_of_valid_files(tmp_path: Path) -> None:
    """Files with changed, removed, repeated or inserted bytes: imported or refused, never another error or effect."""
    golden, generator = load(files("stylegan2")[0].values[0]), random.Random(0)
    small = {name: tensor[:1].clone() if tensor.ndim > 1 else tensor for name, tensor in golden.part("G.").items()}
    sources = [foreign_files.module_of(dict(list(small.items())[:2]), {"z_dim": 8}, "Generator", "import this")]
    dump({"G_ema": sources[0]}, tmp_path / "nvidia.pkl")
    dump(foreign_files.tensorflow_network({"lod": np.zeros(2, np.float32)}, {}, "G"), tmp_path / "tensorflow.pkl")
    torch.save({"g_ema": dict(list(small.items())[:2]), "args": Namespace(a=1)}, tmp_path / "zip.pt")
    torch.save({"g_ema": {"a": torch.zeros(3)}}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    whole = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    read, start = 0, time.process_time()
    for count in range(MUTATIONS):
        data = mutated(whole[count % len(whole)], generator)
        try:
            read_stream(io.BytesIO(data), len(data), "x.pkl")
            read += 1
        except UserError:
            pass
    assert time.process_time() - start < 60
    assert 0 < read < MUTATIONS / 2
    assert len(list(tmp_path.iterdir())) == len(whole)


def mutated(data: bytes, generator: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(generator.randint(1, 4)):
        start, length = generator.randrange(len(changed)), generator.randint(1, 8)
        kind = generator.randrange(4)
        if kind == 0:
            changed[start] = generator.randrange(256)
        elif kind == 1:
            del changed[start : start + length]
        elif kind == 2:
            changed[start:start] = changed[start : start + length]
        else:
            changed[start:start] = generator.choice(
                [b"R", b"b", b"\x81", b"cos\nsystem\n", b"(", b"t", b"0", b"2", b"Q"]
            )
    return bytes(changed) or b"N"
