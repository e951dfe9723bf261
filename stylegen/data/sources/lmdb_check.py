"""Checks the pages of an LMDB before the library opens it.

The library trusts page numbers and lengths: one flipped bit may make it read beyond the end of its memory map, which
kills the process. Layout: `lmdb.h` and `mdb.c` of LMDB 0.9, data version 1, on 64-bit machines. The
check is one pass over the tree and skips the pages that contain the images.
"""

import mmap
import struct
from pathlib import Path

_META = struct.Struct("<II16x48xIHHQQQQQQQ")  # magic, version; the main tree; last page, transaction
_PAGE_SIZE = struct.Struct("<I")
_HEADER = struct.Struct("<Q2xHHH")  # number, flags, lower, upper; in an overflow page the last two are the page count
_NODE = struct.Struct("<HHHH")
_MAGIC, _VERSION, _NO_PAGE = 0xBEEFC0DE, 1, 2**64 - 1
_BRANCH, _LEAF, _OVERFLOW, _BIG = 1, 2, 4, 1
_HEAD = 16


def find_damage(path: Path) -> str | None:
    """Why the library cannot safely read this file; None if it can."""
    with path.open("rb") as file:
        if path.stat().st_size < 2 * mmap.PAGESIZE:
            return "cut short"
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _Walk(data).problem()
            except (struct.error, IndexError):
                return "a page points beyond the end"


class _Walk:
    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.page = _PAGE_SIZE.unpack_from(data, 40)[0]
        self.seen: set[int] = set()

    def problem(self) -> str | None:
        if self.page not in (2**k for k in range(9, 17)):
            return f"its pages have {self.page} bytes"
        metas = [_META.unpack_from(self.data, number * self.page + _HEAD) for number in (0, 1)]
        if any(meta[:2] != (_MAGIC, _VERSION) for meta in metas):
            return "its first pages are damaged"
        _, _, _, kind, depth, _, _, _, _, root, last, _ = max(metas, key=lambda meta: meta[-1])
        if kind:
            return "it is not a plain database"
        self.pages = len(self.data) // self.page
        if last >= self.pages:
            return "cut short"
        return None if root == _NO_PAGE else self._tree(root, depth)

    def _tree(self, root: int, depth: int) -> str | None:
        level = [root]
        for remaining in range(depth, 0, -1):
            below: list[int] = []
            for number in level:
                if not 2 <= number < self.pages or number in self.seen:
                    return "a page refers to a wrong one"
                self.seen.add(number)
                found = self._nodes(number, is_leaf=remaining == 1)
                if isinstance(found, str):
                    return found
                below += found
            level = below
        return "its tree is deeper than recorded" if level else None

    def _nodes(self, number: int, is_leaf: bool) -> list[int] | str:
        """The child pages of a branch page, [] for a leaf page; or a description of the damage."""
        start = number * self.page
        own, flags, lower, upper = _HEADER.unpack_from(self.data, start)
        if own != number or flags & (_BRANCH | _LEAF | _OVERFLOW) != (_LEAF if is_leaf else _BRANCH):
            return f"page {number} is damaged"
        if not _HEAD <= lower <= upper <= self.page or lower % 2:
            return f"page {number} is damaged"
        below = []
        for (offset,) in struct.iter_unpack("<H", self.data[start + _HEAD : start + lower]):
            if not lower <= offset <= self.page - _NODE.size:
                return f"page {number} is damaged"
            low, high, kind, key = _NODE.unpack_from(self.data, start + offset)
            value = offset + _NODE.size + key
            size = 8 if is_leaf and kind & _BIG else low | high << 16
            if value + (size if is_leaf else 0) > self.page:
                return f"page {number} is damaged"
            if not is_leaf:
                below.append(low | high << 16 | kind << 32)
            elif kind & _BIG and not self._holds(start + value, low | high << 16):
                return f"page {number} refers to a wrong one"
        return below

    def _holds(self, place: int, size: int) -> bool:
        """Whether the overflow pages referred to at `place` are in the file and large enough for the value."""
        number = struct.unpack_from("<Q", self.data, place)[0]
        if not 2 <= number < self.pages:
            return False
        own, flags, low, high = _HEADER.unpack_from(self.data, number * self.page)
        count = low | high << 16
        whole = own == number and bool(flags & _OVERFLOW) and number + count <= self.pages
        return whole and _HEAD + size <= count * self.page
