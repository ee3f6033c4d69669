"""Which facets of a file are which electrode: names of gmsh's physical groups decide, numbers where there are none."""

import re
from dataclasses import dataclass

import meshio
import numpy as np

from eitdip.errors import InvalidDataError
from eitdip.mesh.domain import SIDES

TAG = "electrode"  # name of our own tags, for files that keep named arrays
_PHYSICAL = "gmsh:physical"
_ELECTRODE = re.compile(r"(?:e|el|elec|electr|electrode|elektrode|contact|pad)[\s_.:#-]*0*(\d{1,6})")
# Words of names of the boundary between electrodes.
_BETWEEN = {
    *("gap", "gaps", "wall", "walls", "boundary", "border", "between", "outer", "outside", "exterior", "free", "bare"),
    *("insulation", "insulated", "insulator", "isolation", "isolated", "rest", "none", "no"),
}
CONVENTION = (
    "name groups electrode_1, electrode_2, ... and gap (or wall, boundary, insulation) for what is between them; "
    "without names the numbers count: 1 between electrodes, l + 1 for electrode l"
)


@dataclass(frozen=True, eq=False)
class Boundary:
    """The tagged boundary of a file.

    Args:
        facets: Node numbers, as in the file, shape (F, nodes of a facet).
        tags: Electrode numbers, 0 between electrodes, shape (F,).
        groups: The file's groups in words, empty if it has none.
    """

    facets: np.ndarray
    tags: np.ndarray
    groups: str


def read_boundary(mesh: meshio.Mesh, facet: str, cells: np.ndarray) -> Boundary | None:
    """The boundary facets and their electrodes.

    Facets between two cells are passed over. Where groups have names, facets without a group are
    between electrodes.

    Args:
        mesh: A file that was read.
        facet: meshio's kind of the facets.
        cells: Node numbers of the cells, as in the file.

    Returns:
        None if no facet has a tag.

    Raises:
        InvalidDataError: If a group cannot be told to be an electrode or not, an electrode lies within
            the body or a facet belongs to two.
    """
    dimension = 1 if facet.startswith("line") else 2
    names = {int(number): name for name, (number, of) in mesh.field_data.items() if of == dimension}
    facets, numbers = _members(mesh, facet, names)
    if not len(facets):
        return None
    sides = np.concatenate([cells[:, side] for side in SIDES[dimension + 1]])
    corners = np.sort(np.concatenate([sides, facets[:, : dimension + 1]]), axis=1)
    known, place = np.unique(corners, axis=0, return_inverse=True)
    place = place.ravel()
    cells_at = np.bincount(place[: len(sides)], minlength=len(known))
    inner = cells_at[place[len(sides) :]] > 1
    groups = "" if TAG in mesh.cell_data else _in_words(numbers, names, "lines" if dimension == 1 else "triangles")
    if TAG in mesh.cell_data:
        tags = numbers
    elif names:
        tags = _by_name(numbers, ~inner, names, groups)
    else:
        tags = _by_number(numbers, inner, groups)
    within = np.flatnonzero(inner & (tags > 0))
    if len(within):
        raise InvalidDataError(
            f"electrode {tags[within[0]]}: {len(within)} of its facets lie within the body, expected all on its "
            f"boundary{groups}"
        )
    facets, tags = facets[~inner], tags[~inner]
    if names and TAG not in mesh.cell_data:
        facets, tags = _completed(facets, tags, place[len(sides) :][~inner], cells, place[: len(sides)], cells_at)
    return Boundary(facets, tags, groups)


def _members(mesh: meshio.Mesh, facet: str, names: dict[int, str]) -> tuple[np.ndarray, np.ndarray]:
    """Facets and the number of their group; a facet in several groups comes several times."""
    key = TAG if TAG in mesh.cell_data else _PHYSICAL
    if facet not in mesh.cells_dict or key not in mesh.cell_data:
        return np.empty((0, 2), dtype=int), np.empty(0, dtype=int)
    given = np.asarray(mesh.get_cell_data(key, facet), dtype=float)
    if not (np.isfinite(given) & (given == np.rint(given)) & (np.abs(given) < 2**31)).all():
        raise InvalidDataError(f"{key}: got a number that is not whole for one of the {facet} cells")
    facets, numbers = [mesh.cells_dict[facet]], [given.astype(int)]
    if key == _PHYSICAL:
        numbers[0] = np.abs(numbers[0])  # gmsh marks lines of reversed direction by the sign
        for number, name in names.items():  # format 4 keeps all groups of a line as sets, its first as the number
            for block, chosen in zip(mesh.cells, mesh.cell_sets.get(name, ()), strict=False):
                if block.type == facet and chosen is not None:
                    facets.append(block.data[np.asarray(chosen, dtype=int)])
                    numbers.append(np.full(len(facets[-1]), number))
    facets, numbers = np.concatenate(facets), np.concatenate(numbers)
    _, first = np.unique(np.column_stack([facets, numbers]), axis=0, return_index=True)
    kept = np.sort(first) if len(names) else slice(None)
    return facets[kept], numbers[kept]


def _in_words(numbers: np.ndarray, names: dict[int, str], what: str) -> str:
    found, counts = np.unique(numbers, return_counts=True)
    words = [
        f"{number} {names[number]!r} ({count})" if number in names else f"{number} ({count})"
        for number, count in zip(found.tolist(), counts.tolist(), strict=True)
    ]
    if len(words) > 8:
        words[4:-3] = ["..."]
    return f"; the file's groups of {what} (how many): {', '.join(words)}; {CONVENTION}"


def _by_name(numbers: np.ndarray, outer: np.ndarray, names: dict[int, str], groups: str) -> np.ndarray:
    matches = {number: _ELECTRODE.fullmatch(name.strip().lower()) for number, name in names.items()}
    electrodes = {number: int(match[1]) for number, match in matches.items() if match}
    for number, electrode in electrodes.items():
        told = f"group {number} {names[number]!r}"
        if electrode == 0 or list(electrodes.values()).count(electrode) > 1:
            raise InvalidDataError(f"{told}: got electrode {electrode}, expected each of 1..L once{groups}")
        if number not in numbers:
            raise InvalidDataError(
                f"electrode {electrode} has no boundary edge: {told} is empty; save the mesh with its groups (gmsh: "
                f"Mesh.SaveAll = 0){groups}"
            )
    # What is in no group is between electrodes; inner interfaces may have any name.
    for number in sorted(set(numbers[outer].tolist()) - {0, *electrodes}):
        name = names.get(number, "")
        between = not _BETWEEN.isdisjoint(re.split(r"[^a-z]+", name.lower()))
        if not between or (name[-1:].isdigit() and not electrodes):
            told = f"group {number} {name!r}" if name else f"group {number} without a name"
            raise InvalidDataError(f"{told}: is it an electrode?{groups}")
    return np.array([electrodes.get(number, 0) for number in numbers.tolist()])


def _by_number(numbers: np.ndarray, inner: np.ndarray, groups: str) -> np.ndarray:
    """Group l + 1 is electrode l; a group that lies wholly within the body is none."""
    within = ~np.isin(numbers, numbers[~inner])
    least = 1 if inner.all() else numbers[~inner].min()
    if least not in (1, 2):  # electrodes may cover all of the boundary
        raise InvalidDataError(f"got boundary group {least} without a name, expected 1 and 2..L + 1{groups}")
    return np.where(within, 0, numbers - 1)


def _completed(facets, tags, place, cells, sides, cells_at):
    """Each side of the boundary once, those of no group too: facets in the file's order, then the others.

    Args:
        facets, tags: As in the file, shape (F, nodes), (F,); a facet may come several times.
        place: Number of each facet's side, shape (F,).
        cells: Node numbers of the cells.
        sides: Number of the sides of all cells: side s of cell c at s * C + c.
        cells_at: How many cells a side has.
    """
    electrode = np.zeros(len(cells_at), dtype=int)
    np.maximum.at(electrode, place, tags)
    clash = np.flatnonzero((tags > 0) & (electrode[place] != tags))
    if len(clash):
        raise InvalidDataError(
            f"electrodes {tags[clash[0]]} and {electrode[place[clash[0]]]}: share a facet, expected them apart"
        )
    first = np.sort(np.unique(place, return_index=True)[1])
    missing = np.flatnonzero((cells_at[sides] == 1) & ~np.isin(sides, place))
    side, owner = np.divmod(missing, len(cells))
    added = cells[owner[:, None], np.array(SIDES[3 if cells.shape[1] == 4 else 2])[side]]
    if cells.shape[1] == 6:
        added = np.column_stack([added, cells[owner, 3 + side]])
    return np.concatenate([facets[first], added]), np.r_[electrode[place[first]], np.zeros(len(added), dtype=int)]
