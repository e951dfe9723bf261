"""Small pickles whose values are far larger than the file, or take far longer to traverse than to read."""

import struct
from collections.abc import Callable
from pathlib import Path

from tests.support.hostile_pickles import Call, Raw, global_, legacy, program, rebuilt_tensor, value


def repeated(name: tuple[str, str], argument: bytes, times: int) -> bytes:
    """A list of calls of a name with the same argument."""
    return program(argument, b"\x85q\x000", global_(*name), b"q\x010(", b"h\x01h\x00R" * times, b"l")


def many(count: int, operations: bytes) -> bytes:
    """Operations that push a list of `count` references to one value."""
    return operations + b"q\x090(" + b"h\x09" * count + b"l"


def texts(count: int) -> bytes:
    """Operations that push a list of different texts."""
    return b"(" + b"".join(value(str(k)) for k in range(count)) + b"l"


def module(children: bytes = b"}", setting: bytes = b"}", buffers: bytes = b"}") -> bytes:
    """Operations that push a module of NVIDIA's code with dicts of submodules, arguments and buffers."""
    state = b"}(" + value("_modules") + children + value("_init_kwargs") + setting + value("_buffers") + buffers + b"u"
    meta = b"}(" + value("class_name") + value("Generator") + value("state") + state + b"u"
    return bytes(Call("torch_utils.persistence", "_reconstruct_persistent_obj", Raw(meta)))


def _long_names(path: Path) -> bytes:
    """Modules in modules, whose joined names are long, and 120,000 of them in the last one."""
    inner = module(b"}(" + b"".join(value(str(k)) + b"h\x08" for k in range(120_000)) + b"u")
    for _ in range(25):
        inner = module(b"}" + b"h\x07" + inner + b"s")
    return program(value("k" * 255) + b"q\x070", module() + b"q\x080", b"}" + value("G_ema") + inner + b"s")


def _long_storage_keys(path: Path) -> bytes:
    """A list of one long text, which takes hours to sort."""
    keys = many(400_000, value("k" * 4_000_000))
    return legacy(("FloatStorage", "0", "cpu", 2, None), program(keys) + struct.pack("<qff", 2, 1, 2))


def tensor() -> bytes:
    """Operations that push a tensor."""
    return rebuilt_tensor(0, (2,), (1,))(Path())[2:-1]


def huge_count() -> bytes:
    """A storage of 10^4200 values, whose number Python can hardly print."""
    return legacy(("FloatStorage", "0", "cpu", Raw(b"I" + b"9" * 4200 + b"\n"), None))


EXHAUSTING: dict[str, Callable[[Path], bytes]] = {  # time or memory
    "a list of one list": lambda p: program(many(60_000, b"(" + b"N" * 60_000 + b"l")),
    "long names of modules": _long_names,
    "long keys of storages": _long_storage_keys,
}

NETWORK = ("dnnlib.tflib.network", "Network")
PAIRS = b"(" + b"".join(value(str(k)) + b"N\x86" for k in range(1000)) + b"l"
EXPANDING: dict[str, tuple[bytes, str]] = {  # small files, and values that would be large or slow
    "copied dicts": (repeated(("collections", "OrderedDict"), PAIRS, 1100), "more than 500,000 operations"),
    "copied sets": (repeated(("builtins", "set"), texts(1000), 1100), "more than 500,000 operations"),
    "copied arguments": (program(global_(*NETWORK), b"(" + b"N" * 65 + b"tR"), "with 65 arguments"),
    "a shape of a text": (repeated(("torch", "Size"), value("a" * 1000), 1), "a shape is not a list"),
    "a shape of many axes": (repeated(("torch", "Size"), b"(" + b"N" * 9 + b"l", 1), "a shape is not a list"),
    "a repeated text": (program(many(40, value("x" * 1_000_000))), "more than 2,000,000 items"),
    "repeated bytes": (program(many(40, b"B" + struct.pack("<I", 10**6) + b"x" * 10**6)), "more than 2,000,000"),
    "a repeated key": (program(many(150_000, b"}" + value("x" * 255) + b"Ns")), "more than 2,000,000 items"),
    "a repeated tensor": (program(many(20_001, tensor())), "more than 2,000,000 items"),
    "a long key": (program(b"}" + value("x" * 256) + b"Ns"), "a string of 256 characters as the key"),
    "a long key of pairs": (
        repeated(("collections", "OrderedDict"), b"]" + value("x" * 256) + b"N\x86a", 1),
        "a string of 256 characters as the key",
    ),
    "a storage in a bytearray": (
        repeated(("torch.storage", "_load_from_bytes"), b"\x96" + struct.pack("<Q", 4) + b"copy", 1),
        "the data of a storage are not bytes",
    ),
    "a huge count": (huge_count(), "a storage has no key or size"),
}
