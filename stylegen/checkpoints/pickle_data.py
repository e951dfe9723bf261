"""Values and limits of a pickle that is read as data; see `safe_pickle`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

MAX_OPERATIONS = 500_000  # a published file of three 1024-px networks has about 120,000
MAX_LINE = 65536  # bytes of a text argument


class Refused(ValueError):
    """The reason why a file is not read."""


@dataclass(frozen=True, slots=True)
class Global:
    """A name in a pickle: two strings."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False)
class Record:
    """An object of a foreign class, as names and values.

    Attributes:
        module, name: full name of its class.
        args: arguments of its constructor or reduce function.
        state: usually its `__dict__`; None if it has none.
    """

    module: str
    name: str
    args: tuple[Any, ...] = ()
    state: Any = None


@dataclass(slots=True, eq=False)
class Pending:
    """A value whose parts come later in the pickle (`BUILD`); replaced on the stack and in the memo when complete."""

    finish: Callable[[Any], Any]
    key: int | None = None


class Budget:
    """Limits that hold for a whole file, nested pickles included.

    Args:
        file_size: bytes; tensors may take twice as many, and as many again as views.
    """

    def __init__(self, file_size: int) -> None:
        self.storage_bytes = self.view_bytes = 2 * file_size + 2**20
        self.operations = MAX_OPERATIONS

    def take_operations(self, count: int) -> None:
        """Raise Refused if the file has taken too many steps: one for each operation, and for each item it copies."""
        self.operations -= count
        if self.operations < 0:
            raise Refused(f"it has more than {MAX_OPERATIONS:,} operations")

    def take_storage(self, num_bytes: int) -> None:
        """Raise Refused if memory of this size exceeds the limit."""
        if not 0 <= num_bytes <= self.storage_bytes:
            raise Refused(f"it declares {num_bytes:,} bytes of weights, more than it can hold")
        self.storage_bytes -= num_bytes

    def take_view(self, num_bytes: int) -> None:
        """The same for tensors, which may share memory."""
        if not 0 <= num_bytes <= self.view_bytes:
            raise Refused("its tensors repeat the same memory many times")
        self.view_bytes -= num_bytes


class ByteReader:
    """A stream of known size, in the interface of `pickletools.genops`: a length beyond its end allocates nothing."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream, self.left = stream, size

    def read(self, count: int) -> bytes:
        if not 0 <= count <= self.left:
            raise Refused("it is truncated or damaged: a length exceeds the file")
        data = self._stream.read(count)
        if len(data) != count:
            raise Refused("it is truncated")
        self.left -= count
        return data

    def readline(self) -> bytes:
        line = self._stream.readline(min(self.left, MAX_LINE))
        self.left -= len(line)
        return line

    def read_into(self, memory: memoryview) -> None:
        """Fill `memory` from the stream."""
        if len(memory) > self.left:
            raise Refused("it is truncated or damaged: a length exceeds the file")
        done = 0
        while done < len(memory):
            count = self._stream.readinto(memory[done:])  # type: ignore[attr-defined]
            if not count:
                raise Refused("it is truncated")
            done += count
        self.left -= done
