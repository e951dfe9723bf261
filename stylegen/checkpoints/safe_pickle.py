"""Reads pickles as data: nothing that a file names is imported, called or executed.

A pickle is a program for a stack machine, and opening one with the standard library runs it: published StyleGAN files
carry Python source that is executed on loading. Here `pickletools` of the standard library only splits the bytes into
operations, and `Machine` interprets those that hold data. A name (`GLOBAL`) is a pair of strings; applying it
(`REDUCE`, `NEWOBJ`, `BUILD`) looks up that pair in a table of our own functions, and a name outside the table is
refused before anything else is read. There is no `find_class`, and the package does not import `pickle`.

Sizes are checked before memory is allocated: lengths against the bytes that remain, tensors against a `Budget`. Keys
of dicts are restricted to values whose hash is cheap, because nested tuples hash in exponential time.
"""

import pickletools
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from stylegen.checkpoints.pickle_data import Budget, ByteReader, Global, Pending, Record, Refused

MAX_ITEMS = 2_000_000  # of all containers, written out
_TENSOR = 100  # items that a tensor counts for; published files have up to 2,000
_TEXT = 16  # characters or bytes that count as an item
MAX_DEPTH = 100  # of containers in containers; published files have about 25
_LARGE = (
    4096  # bytes objects above this size are consumed once, so that raw and decoded data do not both stay in memory
)
_CONSUMED = object()
_MAX_ARGUMENTS = 64  # of a call; they are copied
_MAX_KEY = 2**31  # integers as keys: larger ones can be chosen to collide
_MAX_KEY_LENGTH = 255  # of texts as keys: names of modules and tensors are joined from them


Table = Mapping[tuple[str, str], Callable[..., Any]]
PersistentLoad = Callable[[Any], Any]


class Machine:
    """Interprets one pickle.

    Args:
        reader: the file, positioned at the start of a pickle; left behind its end.
        table: (module, name) -> function(budget, *args) that makes the value.
        budget: limits shared by all pickles of the file.
        persistent: value of a persistent id; None refuses them.

    Raises:
        Refused: the pickle names something outside the table, or exceeds a limit. Damaged pickles raise other errors.
    """

    def __init__(
        self, reader: ByteReader, table: Table, budget: Budget, persistent: PersistentLoad | None = None
    ) -> None:
        self.reader, self.table, self.budget, self.persistent = reader, table, budget, persistent
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self._large: dict[int, int] = {}  # id of large bytes, or of a tuple with them -> its key in the memo

    def run(self) -> Any:
        for operation, argument, _ in pickletools.genops(self.reader):  # type: ignore[arg-type]
            self.budget.take_operations(1)
            if operation.name in _ARGUMENTS:
                self.stack.append(argument)
            elif operation.name in _OPERATIONS:
                _OPERATIONS[operation.name](self, argument)
            else:
                raise Refused(f"it uses the pickle operation {operation.name}, which holds no data of a network")
        result = self.stack.pop()
        check_nesting(result)
        return result

    def since_mark(self) -> list[Any]:
        """Remove and return the values above the last mark."""
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def apply(self, named: Any, args: Any) -> Any:
        """The value of a name applied to arguments."""
        if not isinstance(named, Global) or not isinstance(args, tuple):
            raise Refused("it calls something that is not a name")
        if len(args) > _MAX_ARGUMENTS:
            raise Refused(f"it calls {named} with {len(args)} arguments")
        self._consume(args)
        return self.table[named.module, named.name](self.budget, *args)

    def _consume(self, args: Any) -> None:
        """Forget large bytes objects among the arguments, so that their memory is free once they are decoded."""
        for value in (*args, args) if isinstance(args, tuple) and len(args) <= _MAX_ARGUMENTS else ():
            if id(value) in self._large:
                self.memo[self._large.pop(id(value))] = _CONSUMED

    def find(self, module: Any, name: Any) -> Global:
        """A name of the table; all others are refused."""
        if not isinstance(module, str) or not isinstance(name, str) or (module, name) not in self.table:
            named = f"{module[:80]}.{name[:80]}" if isinstance(module, str) and isinstance(name, str) else "no text"
            raise Refused(f"it names {named}, which is not on the list of names of StyleGAN files")
        return Global(module, name)

    def memorize(self, key: int) -> None:
        value = self.stack[-1]
        self.memo[key] = value
        if isinstance(value, Pending):
            value.key = key
        elif isinstance(value, bytes | bytearray):
            if len(value) > _LARGE:
                self._large[id(value)] = key
        elif isinstance(value, tuple) and len(value) <= _MAX_ARGUMENTS and any(id(v) in self._large for v in value):
            self._large[id(value)] = key

    def recall(self, key: int) -> None:
        value = self.memo[key]
        if value is _CONSUMED:
            raise Refused("it uses the bytes of a tensor twice")
        self.stack.append(value)

    def build(self, state: Any) -> None:
        """Give the value on top of the stack its state."""
        value = self.stack[-1]
        if isinstance(value, Pending):
            self._consume(state)
            self.stack[-1] = value.finish(state)
            if value.key is not None:
                self.memo[value.key] = self.stack[-1]
        elif isinstance(value, Record):
            value.state = state
        elif not isinstance(value, dict):  # attributes of an OrderedDict, such as a state dict's metadata, are dropped
            raise Refused(f"it sets the state of a {type(value).__name__}")


def check_nesting(value: Any) -> None:
    """Raise Refused for values that contain themselves, or would be too large or too deep written out.

    Others may then recurse, compare and print. Shared values count each time: a list of two references to a list of two
    references, 60 times over, is small in memory and has 2^60 items. Texts and tensors count by their size.
    """
    measured: dict[int, tuple[int, int]] = {}  # id -> depth and number of items
    entered: set[int] = set()
    stack = [value]
    while stack:
        top = stack[-1]
        if id(top) in measured:  # checked before its children: a list may hold it many times
            stack.pop()
            continue
        children = [child for child in _children(top) if isinstance(child, list | tuple | dict | Record)]
        waiting = [child for child in children if id(child) not in measured]
        if not waiting:
            depth = 1 + max((measured[id(child)][0] for child in children), default=0)
            items = sum(map(_weight, _children(top))) + sum(measured[id(child)][1] for child in children)
            items += sum(map(_weight, top)) if isinstance(top, dict) else 0
            if depth > MAX_DEPTH or items > MAX_ITEMS:
                raise Refused(
                    f"its values are nested more than {MAX_DEPTH} deep, or have more than {MAX_ITEMS:,} items"
                )
            measured[id(top)] = (depth, items)
            stack.pop()
        elif id(top) in entered:
            raise Refused("its values contain themselves")
        else:
            entered.add(id(top))
            stack += waiting


def _children(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, Record):
        return (value.args, value.state)
    return value if isinstance(value, list | tuple) else ()


def _weight(value: Any) -> int:
    """Number of items that a value counts for, without those in it."""
    if isinstance(value, str | bytes | bytearray):
        return 1 + len(value) // _TEXT
    return _TENSOR if isinstance(value, Tensor) else 1


def check_key(value: Any) -> Any:
    """The value, if its hash is cheap. Raises Refused."""
    if isinstance(value, str | bytes) and len(value) > _MAX_KEY_LENGTH:
        raise Refused(f"it uses a string of {len(value):,} characters as the key of a dict or set")
    if not isinstance(value, str | bool | int | bytes | None) or (isinstance(value, int) and abs(value) >= _MAX_KEY):
        raise Refused(f"it uses a {type(value).__name__} as the key of a dict or set")
    return value


def _set_items(machine: Machine, items: list[Any]) -> None:
    target = machine.stack[-1]
    if not isinstance(target, dict) or len(items) % 2:
        raise Refused("it sets items of something that is not a dict")
    target.update((check_key(key), value) for key, value in zip(items[::2], items[1::2], strict=True))


def _set_item(machine: Machine, argument: None) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    _set_items(machine, [key, value])


def _new_dict(machine: Machine, argument: None) -> None:
    items = machine.since_mark()
    machine.stack.append({})
    _set_items(machine, items)


def _extend(machine: Machine, items: list[Any]) -> None:
    target = machine.stack[-1]
    if isinstance(target, set):
        target.update(check_key(item) for item in items)
    elif isinstance(target, list):
        target.extend(items)
    else:
        raise Refused("it adds items to something that is not a list or set")


def _push(machine: Machine, value: Any) -> None:
    machine.stack.append(value)


def _integer(machine: Machine, value: int) -> None:
    if value.bit_length() > 128:
        raise Refused("it holds an integer of more than 128 bits")
    machine.stack.append(value)


def _tuple(machine: Machine, count: int) -> None:
    if len(machine.stack) < count:
        raise Refused("it is damaged")
    start = len(machine.stack) - count
    machine.stack[start:] = [tuple(machine.stack[start:])]


def _reduce(machine: Machine, argument: None) -> None:
    args, named = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.apply(named, args))


def _stack_global(machine: Machine, argument: None) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.find(module, name))


def _persistent_id(machine: Machine, value: Any) -> None:
    if machine.persistent is None:
        raise Refused("it refers to data outside of itself (a persistent id)")
    machine.stack.append(machine.persistent(value))


# Operations that push their argument.
_ARGUMENTS = {
    *("INT", "BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_OPERATIONS: dict[str, Callable[[Machine, Any], Any]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda machine, _: None),
    **dict.fromkeys(("LONG", "LONG1", "LONG4"), _integer),
    "NONE": lambda machine, _: _push(machine, None),
    "NEWTRUE": lambda machine, _: _push(machine, True),
    "NEWFALSE": lambda machine, _: _push(machine, False),
    "EMPTY_LIST": lambda machine, _: _push(machine, []),
    "EMPTY_DICT": lambda machine, _: _push(machine, {}),
    "EMPTY_SET": lambda machine, _: _push(machine, set()),
    "EMPTY_TUPLE": lambda machine, _: _push(machine, ()),
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "POP": lambda machine, _: machine.stack.pop(),
    "POP_MARK": lambda machine, _: machine.since_mark(),
    "DUP": lambda machine, _: _push(machine, machine.stack[-1]),
    "TUPLE": lambda machine, _: _push(machine, tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: _tuple(machine, 1),
    "TUPLE2": lambda machine, _: _tuple(machine, 2),
    "TUPLE3": lambda machine, _: _tuple(machine, 3),
    "LIST": lambda machine, _: _push(machine, machine.since_mark()),
    "DICT": _new_dict,
    "APPEND": lambda machine, _: _extend(machine, [machine.stack.pop()]),
    "APPENDS": lambda machine, _: _extend(machine, machine.since_mark()),
    "ADDITEMS": lambda machine, _: _extend(machine, machine.since_mark()),
    "FROZENSET": lambda machine, _: _push(machine, frozenset(map(check_key, machine.since_mark()))),
    "SETITEM": _set_item,
    "SETITEMS": lambda machine, _: _set_items(machine, machine.since_mark()),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda machine, key: machine.memorize(key)),
    "MEMOIZE": lambda machine, _: machine.memorize(len(machine.memo)),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda machine, key: machine.recall(key)),
    "GLOBAL": lambda machine, name: _push(machine, machine.find(*name.split(" ", 1))),
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,
    "BUILD": lambda machine, _: machine.build(machine.stack.pop()),
    "BINPERSID": lambda machine, _: _persistent_id(machine, machine.stack.pop()),
}
