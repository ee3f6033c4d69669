"""gmsh's files, formats 2 and 4.1 as text or binary: every count is compared with what is there before it is believed.

Sections are those of gmsh's manual, "MSH file format"; those that are not needed are passed over.
"""

import shlex

import meshio
import numpy as np

# Number of an element's kind: meshio's name of it, and its nodes.
_KINDS = {
    1: ("line", 2), 2: ("triangle", 3), 3: ("quad", 4), 4: ("tetra", 4), 5: ("hexahedron", 8), 6: ("wedge", 6),
    7: ("pyramid", 5), 8: ("line3", 3), 9: ("triangle6", 6), 10: ("quad9", 9), 11: ("tetra10", 10), 15: ("vertex", 1),
    16: ("quad8", 8), 21: ("triangle10", 10), 26: ("line4", 4), 29: ("tetra20", 20),
}  # fmt: skip


class DamagedError(Exception):
    """What a file says of itself cannot be true, or it is of no format that is read here."""


class _Numbers:
    """Numbers of a section, one after the other.

    Args:
        content: The file.
        at: Where the section's numbers begin.
        name: Of the section.
        binary: Whether they are in binary.
        width: Bytes of a count.
    """

    def __init__(self, content: bytes, at: int, name: bytes, binary: bool, width: int):
        self.binary, self.width, self.at = binary, width, at
        if binary:
            self.content = content
            return
        end = content.find(b"$End" + name, at)
        try:
            self.content = np.array(content[at : end if end > 0 else None].split(), dtype=float)
        except ValueError as error:
            raise DamagedError(f"section {name.decode()}: {error}") from error
        self.at = 0

    def reals(self, count: int) -> np.ndarray:
        """The next real numbers."""
        return self._next(count, np.dtype("<f8"))

    def wholes(self, count: int) -> np.ndarray:
        """The next whole numbers."""
        return self._whole(self._next(count, np.dtype("<i4")))

    def counts(self, count: int) -> np.ndarray:
        """The next counts or numbers of nodes and elements."""
        found = self._whole(self._next(count, np.dtype(f"<u{self.width}")))
        if (found < 0).any():
            raise DamagedError(f"got {found.min()} as a count")
        return found

    def count(self) -> int:
        """The next count."""
        return int(self.counts(1)[0])

    def line(self) -> int:
        """A count that stands as text in a line of its own, in binary sections of format 2 too."""
        if not self.binary:
            return self.count()
        end = self.content.find(b"\n", self.at)
        word, self.at = self.content[self.at : end], end + 1
        if not word.strip().isdigit() or len(word) > 20:
            raise DamagedError(f"got {word[:20]!r} as a count")
        return int(word)

    def _next(self, count: int, kind: np.dtype) -> np.ndarray:
        size = count * (kind.itemsize if self.binary else 1)
        found = self.content[self.at : self.at + size]
        if len(found) < size:
            raise DamagedError(f"got {len(self.content) - self.at} {'bytes' if self.binary else 'numbers'} of {size}")
        self.at += size
        return np.frombuffer(found, kind) if self.binary else found

    @staticmethod
    def _whole(found: np.ndarray) -> np.ndarray:
        if found.dtype.kind == "f" and not ((np.abs(found) < 2**53) & (found == np.rint(found))).all():
            raise DamagedError("got a number that is not whole")
        return found.astype(np.int64)


def read_gmsh(content: bytes) -> meshio.Mesh:
    """The mesh of a file's bytes, with "gmsh:physical" as data of its cells, 0 where there is no group.

    Groups have names in `field_data`. Of format 4 `cell_sets` has the members of each named group by block.

    Raises:
        DamagedError: If it is of another format, or its counts and numbers contradict each other.
    """
    binary, format4, width, at = _header(content)
    names, groups, points, blocks = {}, None, None, None
    while (start := content.find(b"$", at)) >= 0:
        end = content.find(b"\n", start)
        name = content[start + 1 : end if end > 0 else None].strip()
        at = end + 1 if end > 0 else len(content)
        if name == b"PhysicalNames":
            names = _names(content, at)
        elif name in (b"Entities", b"Nodes", b"Elements"):
            numbers = _Numbers(content, at, name, binary, width)
            if name == b"Entities" and format4:
                groups = _groups(numbers)
            elif name == b"Nodes":
                nodes, points = _nodes(numbers) if format4 else _nodes_of_2(numbers)
            elif name == b"Elements":
                blocks = _elements(numbers) if format4 else _elements_of_2(numbers)
            at = numbers.at if binary else at
        close = content.find(b"$End" + name, at)
        at = close + 4 + len(name) if close >= 0 else len(content)
    if points is None or not blocks:
        raise DamagedError("it has no nodes or no elements")
    return _mesh(nodes, points, blocks, groups, names)


def _header(content: bytes) -> tuple[bool, bool, int, int]:
    """Whether binary, whether of format 4.1, bytes of a count, and where the header ends."""
    start = content.find(b"$MeshFormat")
    lines = content[start : start + 200].split(b"\n", 2)
    words = lines[1].split() if start >= 0 and len(lines) > 2 else []
    if len(words) != 3 or words[0] not in (b"2", b"2.0", b"2.1", b"2.2", b"4", b"4.1"):
        got = b" ".join(words[:1]).decode(errors="replace") or "none"
        raise DamagedError(f"got gmsh's format {got}, expected 2.2 or 4.1; save it again (gmsh: Mesh.MshFileVersion)")
    if words[1] not in (b"0", b"1") or words[2] not in (b"4", b"8"):
        raise DamagedError(f"got the header {lines[1][:40].decode(errors='replace')!r}")
    binary = words[1] == b"1"
    if b"$EndMeshFormat" not in content:
        raise DamagedError("it ends within its header")
    if binary and lines[2][:4] != b"\x01\x00\x00\x00":
        raise DamagedError("its bytes are in another order than this machine's; save it as text")
    return binary, words[0].startswith(b"4"), int(words[2]), content.find(b"$EndMeshFormat", start) + 14


def _names(content: bytes, at: int) -> dict[str, np.ndarray]:
    lines = content[at : content.find(b"$EndPhysicalNames", at)].decode().splitlines()
    found = {}
    for line in lines[1:]:
        dimension, number, name = shlex.split(line)
        found[name] = np.array([int(number), int(dimension)])
    return found


def _groups(numbers: _Numbers) -> dict[tuple[int, int], list[int]]:
    """Dimension and number of an entity to the groups that it is in."""
    found = {}
    for dimension, count in enumerate(numbers.counts(4)):
        for _ in range(count):
            entity = int(numbers.wholes(1)[0])
            numbers.reals(6 if dimension else 3)  # its box
            found[dimension, entity] = numbers.wholes(numbers.count()).tolist()
            if dimension:
                numbers.wholes(numbers.count())  # its boundary
    return found


def _nodes(numbers: _Numbers) -> tuple[np.ndarray, np.ndarray]:
    blocks, total = numbers.counts(4)[:2].tolist()
    nodes, points = [np.empty(0, np.int64)], [np.empty((0, 3))]
    for _ in range(blocks):
        if numbers.wholes(3)[2]:
            raise DamagedError("got nodes with parameters, expected none (gmsh: Mesh.SaveParametric = 0)")
        count = numbers.count()
        nodes.append(numbers.counts(count))
        points.append(numbers.reals(3 * count).reshape(count, 3))
    nodes = np.concatenate(nodes)
    if len(nodes) != total:
        raise DamagedError(f"got {len(nodes)} nodes of {total}")
    return nodes, np.concatenate(points)


def _nodes_of_2(numbers: _Numbers) -> tuple[np.ndarray, np.ndarray]:
    count = numbers.line()
    if numbers.binary:
        kind = np.dtype([("node", "<i4"), ("x", "<f8", 3)])
        found = numbers._next(count, kind)
        return found["node"].astype(np.int64), found["x"]
    found = numbers.reals(4 * count).reshape(count, 4)
    return numbers._whole(found[:, 0]), found[:, 1:]


def _elements(numbers: _Numbers) -> list:
    """Blocks of elements: kind, dimension and number of the entity, group or None, nodes."""
    found = []
    for _ in range(numbers.counts(4)[0]):
        dimension, entity, kind = numbers.wholes(3).tolist()
        count, width = numbers.count(), _width(kind)
        rows = numbers.counts(count * (1 + width)).reshape(count, 1 + width)
        found.append((kind, (dimension, entity), None, rows[:, 1:]))
    return found


def _elements_of_2(numbers: _Numbers) -> list:
    count, found = numbers.line(), []
    while count > 0:
        if numbers.binary:
            kind, many, tags = numbers.wholes(3).tolist()
            if not 0 < many <= count or tags < 0:
                raise DamagedError(f"got {many} elements with {tags} tags")
            rows = numbers.wholes(many * (1 + tags + _width(kind))).reshape(many, -1)[:, 1:]
        else:
            kind, tags = numbers.wholes(3)[1:].tolist()
            if tags < 0:
                raise DamagedError(f"got an element with {tags} tags")
            many, rows = 1, numbers.wholes(tags + _width(kind))[None]
        found.append((kind, None, rows[:, 0] if tags else np.zeros(many, np.int64), rows[:, tags:]))
        count -= many
    joined = []  # of text each element is a block: neighbours of a kind become one
    for kind, _, group, nodes in found:
        if joined and joined[-1][0] == kind:
            joined[-1][1].append(group)
            joined[-1][2].append(nodes)
        else:
            joined.append((kind, [group], [nodes]))
    return [(kind, None, np.concatenate(group), np.concatenate(nodes)) for kind, group, nodes in joined]


def _width(kind: int) -> int:
    if kind not in _KINDS:
        raise DamagedError(f"got elements of gmsh's kind {kind}, expected lines, triangles or tetrahedra")
    return _KINDS[kind][1]


def _mesh(nodes, points, blocks, groups, names) -> meshio.Mesh:
    order = np.argsort(nodes, kind="stable")
    if (np.diff(nodes[order]) == 0).any():
        raise DamagedError("two nodes have one number")
    cells, physical, sets = [], [], {name: [] for name in names}
    for kind, entity, group, of in blocks:
        place = np.searchsorted(nodes, of, sorter=order).clip(max=len(nodes) - 1)
        if not len(nodes) or (nodes[order[place]] != of).any():
            raise DamagedError("an element has a node that is not there")
        cells.append((_KINDS[kind][0], order[place]))
        member = (groups or {}).get(entity, [])
        first = abs(member[0]) if member else 0
        physical.append(np.full(len(of), first) if group is None else group)
        for name, (number, dimension) in names.items():
            inside = entity is not None and dimension == entity[0] and number in map(abs, member)
            sets[name].append(np.arange(len(of) if inside else 0))
    of_cells = {"gmsh:physical": physical} if names or any(group.any() for group in physical) else {}
    whole = sets if groups is not None else None
    return meshio.Mesh(points, cells, cell_data=of_cells, field_data=names, cell_sets=whole)
