"""Pickles that execute code, exhaust memory or never end, if opened with the standard library or torch.load.

Each attack that runs code would write a file MARKER beside itself.
"""

import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.support.foreign_files import Module, foreign_modules

MARKER = "executed"


class Call:
    """Pickles as a call of `name` in `module` with arguments, by REDUCE."""

    def __init__(self, module: str, name: str, *arguments: Any) -> None:
        self.module, self.name, self.arguments = module, name, arguments

    def __bytes__(self) -> bytes:
        return global_(self.module, self.name) + tuple_(*self.arguments) + b"R"


def global_(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def value(thing: Any) -> bytes:
    """The operations that push a value, without header and end."""
    return bytes(thing) if isinstance(thing, Call) else pickle.dumps(thing, 2)[2:-1]


def tuple_(*things: Any) -> bytes:
    return b"(" + b"".join(map(value, things)) + b"t"


def program(*operations: bytes) -> bytes:
    return b"\x80\x04" + b"".join(operations) + b"."


def _shell(path: Path) -> str:
    return f"touch {path.with_name(MARKER)}"


def _python(path: Path) -> str:
    return f"open({str(path.with_name(MARKER))!r}, 'w')"


CALLS: dict[str, Callable[[Path], Call]] = {
    "os.system": lambda p: Call("os", "system", _shell(p)),
    "posix.system": lambda p: Call("posix", "system", _shell(p)),
    "nt.system": lambda p: Call("nt", "system", _shell(p)),
    "subprocess": lambda p: Call("subprocess", "check_output", _shell(p).split()),
    "builtins.eval": lambda p: Call("builtins", "eval", _python(p)),
    "builtins.exec": lambda p: Call("builtins", "exec", _python(p)),
    "builtins.open": lambda p: Call("builtins", "open", str(p.with_name(MARKER)), "w"),
    "builtins.getattr": lambda p: Call("builtins", "getattr", Call("importlib", "import_module", "os"), "system"),
    "__builtin__.eval": lambda p: Call("__builtin__", "eval", _python(p)),
    "importlib": lambda p: Call("importlib", "import_module", "antigravity"),
    "runpy": lambda p: Call("runpy", "run_path", str(p)),
    "pty": lambda p: Call("pty", "spawn", ["touch", str(p.with_name(MARKER))]),
    "codecs": lambda p: Call("codecs", "open", str(p.with_name(MARKER)), "w"),
    "nested pickle.loads": lambda p: Call("pickle", "loads", program(bytes(Call("os", "system", _shell(p))))),
    "nested torch.load": lambda p: Call("torch", "load", str(p)),
    "torch.hub": lambda p: Call("torch.hub", "load", "somebody/something", "model"),
    "torch.jit": lambda p: Call("torch.jit", "load", str(p)),
    "numpy.load": lambda p: Call("numpy", "load", str(p), None, True),
    "operator.attrgetter": lambda p: Call("operator", "attrgetter", "system"),
    "functools.partial": lambda p: Call("functools", "partial", Call("os", "system", "true")),
    "ctypes": lambda p: Call("ctypes", "CDLL", "libc.so.6"),
    "a path through attributes": lambda p: Call("torch.storage", "os.system", _shell(p)),
}


def _source(path: Path) -> bytes:
    """The embedded source of a network; a valid record, so the file is refused for what it lacks."""
    with foreign_modules():
        return pickle.dumps({"G_ema": Module("Generator", _python(path))}, 4)


def _nested_storage(path: Path) -> bytes:
    """`torch.storage._load_from_bytes`, whose original opens its bytes with the unrestricted pickle."""
    inner = program(bytes(Call("os", "system", _shell(path))))
    return program(bytes(Call("torch.storage", "_load_from_bytes", inner)))


def _nested_legacy(path: Path) -> bytes:
    """The same with the headers of torch.save in front of the attack."""
    headers = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + pickle.dumps(1001, 2)
    headers += pickle.dumps({"little_endian": True, "protocol_version": 1001, "type_sizes": {}}, 2)
    inner = headers + program(bytes(Call("os", "system", _shell(path))))
    return program(bytes(Call("torch.storage", "_load_from_bytes", inner)))


def _build_state(path: Path) -> bytes:
    """BUILD with a state that replaces attributes of a record's class."""
    return program(global_("argparse", "Namespace"), b")\x81", value({"__class__": Call("os", "system", _shell(path))}))


def _deep(opening: bytes, closing: bytes) -> bytes:
    return program(opening * 50_000, closing * 50_000)


def _doubled_keys(path: Path) -> bytes:
    """A tuple that contains itself twice, 60 times over, as the key of a dict: its hash takes 2^60 steps."""
    return program(b"}", b")", b"2\x86" * 60, b"N", b"s")


def _doubled_lists(path: Path) -> bytes:
    """Billion laughs: a list of two references to a list of two references, 60 times over."""
    return program(
        b"]q\x00", b"".join(b"](h" + bytes([k]) + b"h" + bytes([k]) + b"eq" + bytes([k + 1]) for k in range(60))
    )


def _doubled(opening: bytes = b"]") -> bytes:
    """Operations that push the same (or tuples), without memory for its 2^60 items."""
    if opening == b")":
        return b")" + b"2\x86" * 60
    return b"]" + b"".join(b"q" + bytes([k]) + b"0](h" + bytes([k]) + b"h" + bytes([k]) + b"e" for k in range(60))


class Raw(Call):
    """Operations that push a value."""

    def __init__(self, operations: bytes) -> None:
        self.operations = operations

    def __bytes__(self) -> bytes:
        return self.operations


def _doubled_setting(path: Path) -> bytes:
    """A network whose argument is such a list."""
    network = global_("dnnlib.tflib.network", "Network") + b")\x81}("
    network += value("static_kwargs") + b"}" + value("resolution") + _doubled() + b"s"
    network += value("variables") + b"](" + value("4x4/Conv/mod_weight") + value(1) + b"\x86eub"
    return program(network, b"22\x87")


def _bytes_of_length(count: int, operation: bytes) -> bytes:
    return program(operation + struct.pack("<Q", count) + b"abc")


def legacy(persistent: tuple[Any, ...], rest: bytes = b"") -> bytes:
    """A file of torch.save before 1.6 whose pickle is one storage."""
    headers = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + pickle.dumps(1001, 2)
    headers += pickle.dumps({"little_endian": True, "protocol_version": 1001, "type_sizes": {}}, 2)
    kind, *others = persistent
    identity = b"(" + value("storage") + global_("torch", kind) + b"".join(map(value, others)) + b"t"
    return headers + b"\x80\x02" + identity + b"Q." + rest


def _huge_storage(path: Path) -> bytes:
    return legacy(("FloatStorage", "0", "cpu", 2**40, None), pickle.dumps(["0"], 2))


def rebuilt_tensor(offset: Any, size: Any, stride: Any) -> Callable[[Path], bytes]:
    def make(path: Path) -> bytes:
        inner = legacy(("FloatStorage", "0", "cpu", 2, None), pickle.dumps(["0"], 2) + struct.pack("<qff", 2, 1, 2))
        storage = Call("torch.storage", "_load_from_bytes", inner)
        return program(bytes(Call("torch._utils", "_rebuild_tensor_v2", storage, offset, size, stride, False, None)))

    return make


def _array(shape: Any) -> Callable[[Path], bytes]:
    def make(path: Path) -> bytes:
        dtype = bytes(Call("numpy", "dtype", "f4", 0, 1)) + value((3, "<", None, None, None, -1, -1, 0)) + b"b"
        array = global_("numpy.core.multiarray", "_reconstruct") + b"(" + global_("numpy", "ndarray")
        array += value((0,)) + value(b"b") + b"tR"
        return program(array + b"(" + value(1) + value(shape) + dtype + value(False) + value(b"abcd") + b"tb")

    return make


OTHERS: dict[str, Callable[[Path], bytes]] = {
    "module source": _source,
    "nested storage": _nested_storage,
    "nested storage with headers": _nested_legacy,
    "INST": lambda p: b"(" + value(_shell(p)) + b"ios\nsystem\n.",
    "OBJ": lambda p: program(b"(", global_("os", "system"), value(_shell(p)), b"o"),
    "NEWOBJ_EX": lambda p: program(global_("argparse", "Namespace"), b")}\x92"),
    "STACK_GLOBAL": lambda p: program(b"\x8c\x02os\x8c\x06system\x93", tuple_(_shell(p)), b"R"),
    "EXT1": lambda p: program(b"\x82\x01"),
    "persistent id": lambda p: program(value("anything"), b"Q"),
    "state that calls": _build_state,
    "state of a text": lambda p: program(value("text"), value({"a": 1}), b"b"),
    "a call of a value": lambda p: program(value("text"), b")R"),
    "a call of a dtype": lambda p: program(global_("torch", "float32"), b")R"),
    "deep lists": lambda p: _deep(b"]", b"a"),
    "deep tuples": lambda p: program(b")" + b"\x85" * 50_000),
    "a list in itself": lambda p: program(b"]q\x00h\x00a"),
    "doubled keys": _doubled_keys,
    "doubled lists": _doubled_lists,
    "doubled setting": _doubled_setting,
    "doubled class name": lambda p: program(
        bytes(
            Call(
                "torch_utils.persistence",
                "_reconstruct_persistent_obj",
                Raw(b"}" + value("class_name") + _doubled() + b"s" + value("type") + value("class") + b"s"),
            )
        )
    ),
    "doubled name": lambda p: program(_doubled(b")"), _doubled(b")"), b"\x93"),
    "doubled dtype": lambda p: program(bytes(Call("numpy", "dtype", Raw(_doubled(b")")), 0, 1))),
    "doubled encoding": lambda p: program(bytes(Call("_codecs", "encode", "text", Raw(_doubled())))),
    "colliding keys": lambda p: program(b"}(", *(value((2**61 - 1) * k) + b"N" for k in range(1, 9)), b"u"),
    "too many operations": lambda p: program(b"N0" * 1_100_000, b"N"),
    "a huge memo": lambda p: program(b"Nr\xff\xff\xff\xff"),
    "huge bytes": lambda p: _bytes_of_length(2**40, b"\x8e"),
    "a huge bytearray": lambda p: _bytes_of_length(2**40, b"\x96"),
    "a huge text": lambda p: _bytes_of_length(2**40, b"\x8d"),
    "a huge frame": lambda p: program(b"\x95" + struct.pack("<Q", 2**62)),
    "a huge integer": lambda p: program(b"\x8b" + struct.pack("<i", 100_000) + b"\x7f" * 100_000),
    "digits": lambda p: b"I" + b"9" * 60_000 + b"\n.",
    "a huge storage": _huge_storage,
    "a negative storage": lambda p: legacy(("FloatStorage", "0", "cpu", -1, None)),
    "a tensor of repeated values": rebuilt_tensor(0, (2**20, 2**20), (0, 0)),
    "a tensor beyond its storage": rebuilt_tensor(1, (2,), (1,)),
    "a tensor before its storage": rebuilt_tensor(-1, (1,), (1,)),
    "a huge array": _array((2**40,)),
    "a negative array": _array((-1,)),
    "an array of objects": lambda p: program(bytes(Call("numpy", "dtype", "O8", 0, 1))),
}


def torch_archive(path: Path, content: bytes) -> None:
    """A zip archive of torch.save whose pickle is `content`."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", "3\n")


def bombs(folder: Path) -> dict[str, Path]:
    """Zip archives that are hostile as archives."""
    tensors = {"g_ema": OrderedDict(w=torch.zeros(4))}
    torch.save(tensors, folder / "valid.pt")
    found = {}
    with zipfile.ZipFile(folder / "valid.pt") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    storage = next(name for name in entries if "/data/" in name)
    for name, compression, change in (
        ("compressed", zipfile.ZIP_DEFLATED, {storage: b"\0" * 50_000_000}),
        ("missing storage", zipfile.ZIP_STORED, {storage: None}),
        ("short storage", zipfile.ZIP_STORED, {storage: b"\0" * 8}),
        ("two pickles", zipfile.ZIP_STORED, {"other/data.pkl": b"N."}),
        ("TorchScript", zipfile.ZIP_STORED, {"valid/constants.pkl": b"N."}),
        ("big-endian", zipfile.ZIP_STORED, {"valid/byteorder": b"big"}),
    ):
        found[name] = folder / f"{name}.pt"
        with zipfile.ZipFile(found[name], "w", compression) as archive:
            for entry, data in (entries | change).items():
                if data is not None:
                    archive.writestr(entry, data)
    return found


def is_a_pickle(data: bytes) -> bool:
    """Whether the standard library can split it into operations."""
    try:
        return bool(list(pickletools.genops(data)))
    except ValueError:
        return False
