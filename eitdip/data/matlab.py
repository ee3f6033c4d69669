"""What a MATLAB file says of itself, checked before it is believed: SciPy's reader crashes where sizes are wrong.

A file of version 5 to 7 is a row of elements, each with its kind and size in bytes, packed or not; arrays are elements
of elements (MathWorks, MAT-File Format). A file of version 4 is a row of matrices with a header each.
"""

import math
import struct
import zlib

import numpy as np

LARGEST = 2**30  # bytes of all arrays of a file, unpacked
_MANY, _DEEP = 1_000_000, 20  # arrays within arrays: how many, and how far inside each other
_COMPRESSED, _MATRIX = 15, 14
_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8, 16: 1, 17: 2, 18: 4}  # of kinds of numbers
_CELL, _STRUCT, _CHARACTERS, _SPARSE, _NUMBERS = 1, 2, 4, 5, range(6, 16)
_OLD = {0: 8, 1: 4, 2: 4, 3: 2, 4: 2, 5: 1}  # bytes of a number of version 4


class DamagedError(Exception):
    """What a file says of itself cannot be true."""


def checked(content: bytes) -> bytes:
    """The same file, unpacked, with all variables that hold numbers, text, structs and cells.

    Others (functions, objects) are left out: nothing here reads them.

    Raises:
        DamagedError: If sizes contradict each other, or are beyond 1 GiB.
    """
    if 0 in content[:4]:
        _check_old(content)
        return content
    if len(content) < 128 or content[126:128] not in (b"IM", b"MI"):
        raise DamagedError("the header is not one of a MATLAB file")
    order = "<" if content[126:128] == b"IM" else ">"
    if content[125 if order == "<" else 124] != 1:
        return content  # version 7.3, which SciPy names, or none
    room = LARGEST
    kept = [content[:116] + bytes(8) + content[124:128]]
    at = 128
    while at < len(content):
        kind, body, at = _element(content, at, order, padded=False)
        if kind == _COMPRESSED:
            kind, body = _unpacked(body, room, order)
        if kind != _MATRIX:
            raise DamagedError(f"got an element of kind {kind}, expected a variable")
        room -= len(body)
        if room < 0:
            raise DamagedError(f"got more than {LARGEST >> 20} MiB of variables")
        body = bytes(body) + bytes(-len(body) % 8)
        if _Arrays(order).known(body):
            kept.append(struct.pack(order + "II", _MATRIX, len(body)) + body)
    return b"".join(kept)


def _element(content, at: int, order: str, padded: bool = True):
    """Kind and body of the element at a place, and where the next one is."""
    if at + 8 > len(content):
        raise DamagedError("it ends within an element")
    kind, size = struct.unpack_from(order + "II", content, at)
    if kind >> 16:  # a small one: its size, kind and up to 4 bytes in 8
        kind, size = kind & 0xFFFF, kind >> 16
        if size > 4:
            raise DamagedError(f"a small element of {size} bytes")
        return kind, content[at + 4 : at + 4 + size], at + 8
    end = at + 8 + size
    if end > len(content):
        raise DamagedError(f"an element of {size} bytes, where {len(content) - at - 8} are left")
    return kind, content[at + 8 : end], end + (-size % 8 if padded else 0)


def _unpacked(body: bytes, room: int, order: str):
    packed = zlib.decompressobj()
    try:
        found = packed.decompress(body, room)
    except zlib.error as error:
        raise DamagedError(f"a variable cannot be unpacked ({error})") from error
    if packed.unconsumed_tail or not packed.eof:
        raise DamagedError(f"a variable is cut off, or more than {room >> 20} MiB")
    kind, inner, _ = _element(found, 0, order)
    return kind, inner


class _Arrays:
    """Checks arrays; counts those within others.

    Args:
        order: Of bytes, "<" or ">".
    """

    def __init__(self, order: str):
        self.order, self.count = order, 0

    def known(self, body: bytes) -> bool:
        """Whether an array and all within it are of kinds that are read here."""
        return self._array(memoryview(body), 0)

    def _array(self, body: memoryview, depth: int) -> bool:
        self.count += 1
        if depth > _DEEP or self.count > _MANY:
            raise DamagedError("too many arrays within arrays")
        if not len(body) and depth:
            return True  # an empty matrix, without anything
        flags, at = self._numbers(body, 0, (6,))
        if len(flags) != 2:
            raise DamagedError("an array without flags")
        kind, parts = int(flags[0]) & 0xFF, 2 if int(flags[0]) & 0x800 else 1
        if kind not in (_CELL, _STRUCT, _CHARACTERS, _SPARSE, *_NUMBERS):
            return False
        shape, at = self._numbers(body, at, (5,))
        shape = shape.tolist()
        if not 2 <= len(shape) <= 32 or min(shape) < 0:
            raise DamagedError(f"an array of shape {shape}")
        _, at = self._numbers(body, at, (1, 2, 16))  # the name
        size = math.prod(shape)
        if kind == _SPARSE:
            self._check_sparse(body, at, shape, parts)
        elif kind in _NUMBERS:
            for _ in range(parts):
                found, at = self._numbers(body, at, (*range(1, 8), 9, 12, 13))
                if len(found) != size:
                    raise DamagedError(f"got {len(found)} numbers of an array of shape {shape}")
        elif kind == _CHARACTERS:
            found, at = self._numbers(body, at, (1, 2, 3, 4, 16, 17, 18))
            if len(found) > 4 * size or size > 4 * len(found) + 1:
                raise DamagedError(f"got {len(found)} characters of a text of shape {shape}")
        else:
            return self._within(body, at, kind, size, depth)
        return True

    def _within(self, body: memoryview, at: int, kind: int, size: int, depth: int) -> bool:
        """The arrays of a cell or a struct."""
        fields = 1
        if kind == _STRUCT:
            width, at = self._numbers(body, at, (5,))
            names, at = self._numbers(body, at, (1,))
            if len(width) != 1 or not 1 <= width[0] <= 256 or len(names) % width[0]:
                raise DamagedError("a struct whose names have no width")
            fields = len(names) // int(width[0])
        if size * fields > len(body) // 8 or (not fields and size > 1):
            raise DamagedError(f"{size * fields} arrays in {len(body)} bytes")
        known = True
        for _ in range(size * fields):
            kind, inner, at = _element(body, at, self.order)
            if kind != _MATRIX:
                raise DamagedError(f"an element of kind {kind} where an array should be")
            known &= self._array(inner, depth + 1)
        return known

    def _check_sparse(self, body: memoryview, at: int, shape: list[int], parts: int) -> None:
        rows, at = self._numbers(body, at, (5, 6))
        starts, at = self._numbers(body, at, (5, 6))
        if len(shape) != 2 or len(starts) != shape[1] + 1 or starts[0] != 0 or (np.diff(starts) < 0).any():
            raise DamagedError(f"a sparse matrix of shape {shape} without the starts of its columns")
        used = int(starts[-1])
        if len(rows) < used or ((rows[:used] < 0) | (rows[:used] >= shape[0])).any():
            raise DamagedError("a sparse matrix with entries beyond its rows")
        for _ in range(parts):
            found, at = self._numbers(body, at, (*range(1, 8), 9, 12, 13))
            if len(found) < used:
                raise DamagedError(f"a sparse matrix of {used} entries with {len(found)} numbers")

    def _numbers(self, body: memoryview, at: int, kinds: tuple[int, ...]) -> tuple[np.ndarray, int]:
        kind, found, at = _element(body, at, self.order)
        if kind not in kinds or len(found) % _BYTES[kind]:
            raise DamagedError(f"an element of kind {kind} and {len(found)} bytes where it should not be")
        letter = {5: "i4", 6: "u4"}.get(kind, f"V{_BYTES[kind]}")
        return np.frombuffer(found, np.dtype(letter).newbyteorder(self.order)), at


def _check_old(content: bytes) -> None:
    at = 0
    while at < len(content):
        if at + 20 > len(content):
            raise DamagedError("it ends within a header")
        order = "<" if int.from_bytes(content[at : at + 4], "little") < 5000 else ">"
        code, rows, columns, imaginary, named = struct.unpack_from(order + "5i", content, at)
        number, kind = code // 10 % 10, code % 10
        if not 0 <= code < 5000 or code // 100 % 10 or number not in _OLD or kind not in (0, 1):
            raise DamagedError(f"a matrix of kind {code}")
        if min(rows, columns) < 0 or named < 1 or imaginary not in (0, 1):
            raise DamagedError(f"a matrix of shape {rows} x {columns}")
        at += 20 + named + rows * columns * _OLD[number] * (1 + imaginary)
        if at > len(content):
            raise DamagedError(f"a matrix of shape {rows} x {columns} that goes on beyond the end")
