"""A few small files of each kind that is read: what is damaged."""

from collections.abc import Callable
from pathlib import Path

import h5py
import meshio
import numpy as np
import torch
from PIL import Image
from scipy import sparse
from scipy.io import savemat

from eitdip.data import Measurements, save
from eitdip.mesh import Ball, Cylinder, Tank
from eitdip.mesh.files import write_domain
from eitdip.reconstruction.checkpoint import Checkpoint
from tests.cases.meshes import ring_disk


def _pair(count, plus, minus):
    pattern = np.zeros(count)
    pattern[[plus - 1, minus - 1]] = 1, -1
    return pattern


def matlab(folder: Path, rng) -> None:
    odd = list(range(1, 33, 2))
    pairs = list(zip(odd, [*odd[1:], 1], strict=True))
    pairs += [(plus, minus) for minus in (1, 9, 17, 25) for plus in odd if plus != minus]
    currents = np.column_stack([1.45 * _pair(32, *ends) for ends in pairs])
    patterns = np.column_stack([_pair(32, m, m + 1) for m in range(1, 32)]).astype(np.int16)
    ktc = {"Uel": rng.standard_normal((76 * 31, 1)), "Inj": currents, "Mpat": patterns}
    savemat(folder / "ktc.mat", ktc)
    savemat(folder / "ktc_packed.mat", ktc, do_compression=True)
    savemat(folder / "ktc_old.mat", {name: value.astype(float) for name, value in ktc.items()}, format="4")
    savemat(folder / "ref.mat", {"Uelref": ktc["Uel"] + 1, "Injref": currents, "Mpat": patterns})
    around = np.column_stack([_pair(16, m, m % 16 + 1) for m in range(1, 17)])
    kit4 = {"Uel": rng.standard_normal((16, 16)), "CurrentPattern": around, "MeasPattern": around.astype(np.int16)}
    savemat(folder / "kit4.mat", kit4)
    savemat(folder / "datamat_1_0.mat", kit4 | {"Uel": kit4["Uel"] + 1})
    parameters = {
        "distanceSourceOrigin": 410.66, "distanceSourceDetector": 553.74, "pixelSizePost": 2.0,
        "effectivePixelSizePost": 0.148322, "numDetectorsPost": 14, "angles": np.arange(0, 361, 30.0),
    }  # fmt: skip
    disc = {"CtDataFull": {"type": "2D", "sinogram": rng.uniform(0.5, 2, (13, 14)), "parameters": parameters}}
    savemat(folder / "disc.mat", disc)
    savemat(folder / "disc_packed.mat", disc, do_compression=True)
    rays = {"A": sparse.random_array((12, 16), density=0.3, rng=rng).tocsc(), "m": rng.uniform(size=(3, 4))}
    savemat(folder / "rays.mat", rays)


def hdf5(folder: Path, rng) -> None:
    around = np.column_stack([_pair(8, m, m % 8 + 1) for m in range(1, 9)])
    domain = ring_disk(4, 8, radius=0.1)
    of_electrodes = {
        "model": "electrodes", "sources": around, "moments": around, "contact_impedance": np.full(8, 1e-3),
        "values": rng.standard_normal((8, 8)), "deviation": np.full((8, 8), 0.1), "provenance": {"seed": 3},
    }  # fmt: skip
    extra = {"reference": of_electrodes["values"] + 1, "mask": np.eye(8) == 0, "truth": np.ones((4, 4))}
    bodies = {
        "tank": Tank(0.14, 8, 0.03),
        "cylinder": Cylinder(0.14, 0.1, 2, 4, 0.08, 0.03),
        "mesh": domain,
    }
    for name, body in bodies.items():
        given = of_electrodes | (extra if name != "cylinder" else {})
        save(folder / f"{name}.h5", Measurements(geometry=body, **given))
    functions = np.eye(8)
    ball = {"model": "neumann", "sources": functions, "moments": functions, "contact_impedance": None}
    save(folder / "ball.h5", Measurements(geometry=Ball(1.0), **of_electrodes | ball))
    for name in (*bodies, "ball"):  # as h5py writes them by itself: damage of the structure is not found by checksums
        plain_hdf5(folder / f"{name}.h5", folder / f"{name}_plain.h5")


def plain_hdf5(source: Path, target: Path) -> None:
    with h5py.File(source) as old, h5py.File(target, "w") as new:
        new.attrs.update(old.attrs)
        for group in old:
            new.create_group(group).attrs.update(old[group].attrs)
            for name, values in old[group].items():
                packed = {"chunks": values.shape, "compression": "gzip"} if name == "values" else {}
                new[group].create_dataset(name, data=values[()], **packed)


def meshes(folder: Path, rng) -> None:
    plane, curved = ring_disk(3, 3), ring_disk(3, 3, degree=2)
    for domain, name in ((plane, "plane"), (curved, "curved")):
        for ending in (".msh", ".xdmf", ".vtu"):
            write_domain(folder / f"{name}{ending}", domain)
    mesh = meshio.read(folder / "plane.msh", file_format="gmsh")
    meshio.write(folder / "binary22.msh", mesh, file_format="gmsh22", binary=True)
    (folder / "text41.msh").write_bytes(_format4(mesh, binary=False))
    (folder / "binary41.msh").write_bytes(_format4(mesh, binary=True))
    own = meshio.read(folder / "plane.vtu")
    meshio.write(folder / "beside.xdmf", own, file_format="xdmf", data_format="HDF")
    meshio.write(folder / "packed.vtu", own, file_format="vtu", binary=True)
    meshio.write(folder / "text.vtu", own, file_format="vtu", binary=False)
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
    faces = np.array([[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]])
    groups = [np.array([1]), np.array([2, 1, 1, 3])]
    solid = meshio.Mesh(points, [("tetra", np.array([[0, 1, 2, 3]])), ("triangle", faces)],
                        cell_data={"gmsh:physical": groups, "gmsh:geometrical": groups})  # fmt: skip
    meshio.write(folder / "solid.msh", solid, file_format="gmsh22", binary=False)


def _format4(mesh: meshio.Mesh, binary: bool) -> bytes:
    """gmsh's format 4.1, which meshio writes without groups: an entity for each of its groups."""

    def words(*given) -> bytes:
        if binary:
            letters = {int: "<i4", float: "<f8", np.uint64: "<u8"}
            return b"".join(np.asarray(value, letters[kind]).tobytes() for kind, value in given)
        return b" ".join(str(each).encode() for _, value in given for each in np.ravel(value)) + b"\n"

    def section(name: bytes, *rows: bytes) -> bytes:
        return b"$" + name + b"\n" + b"".join(rows) + (b"\n" if binary else b"") + b"$End" + name + b"\n"

    size = np.uint64
    blocks = [
        (dimension, int(group), block.data[numbers == group], kind)
        for block, numbers in zip(mesh.cells, mesh.cell_data["gmsh:physical"], strict=True)
        for dimension, kind in [{"line": (1, 1), "triangle": (2, 2)}[block.type]]
        for group in np.unique(numbers)
    ]
    of_lines = sum(dimension == 1 for dimension, *_ in blocks)
    entities = [words((size, [0, of_lines, len(blocks) - of_lines, 0]))]
    for _, group, *_ in sorted(blocks, key=lambda block: block[0]):
        entities.append(words((int, group), (float, np.zeros(6)), (size, 1), (int, group), (size, 0)))
    count = len(mesh.points)
    nodes = [words((size, [1, count, 1, count])), words((int, [2, 1, 0]), (size, count)),
             words((size, np.arange(1, count + 1))), words((float, mesh.points))]  # fmt: skip
    total = sum(len(rows) for *_, rows, _ in blocks)
    elements = [words((size, [len(blocks), total, 1, total]))]
    for dimension, group, rows, kind in blocks:
        numbered = np.column_stack([np.arange(1, len(rows) + 1), rows + 1])
        elements += [words((int, [dimension, group, kind]), (size, len(rows))), words((size, numbered))]
    names = [f'{of} {number} "{name}"'.encode() for name, (number, of) in mesh.field_data.items()]
    start = b"$MeshFormat\n4.1 " + (b"1 8\n\x01\0\0\0\n" if binary else b"0 8\n") + b"$EndMeshFormat\n"
    start += b"$PhysicalNames\n" + b"\n".join([str(len(names)).encode(), *names]) + b"\n$EndPhysicalNames\n"
    return start + section(b"Entities", *entities) + section(b"Nodes", *nodes) + section(b"Elements", *elements)


def numpy_files(folder: Path, rng) -> None:
    samples = rng.standard_normal((2, 16, 16)) + 1j * rng.standard_normal((2, 16, 16))
    samples[:, 7:10, 7:10] *= 30
    np.save(folder / "kspace.npy", samples.astype(np.complex64))
    np.save(folder / "kspace_one.npy", samples[0])
    np.save(folder / "real.npy", samples.real)


def archives(folder: Path, rng) -> None:
    blank = np.full((160, 192), 20, np.int16)
    counts = rng.poisson(10, (160, 192)).astype(np.int16)
    np.savez(folder / "scan.npz", trans=counts, blank=blank)
    np.savez_compressed(folder / "scan_packed.npz", trans=counts, blank=blank)


def pictures(folder: Path, rng) -> None:
    colours = rng.integers(0, 256, (20, 24, 4), dtype=np.uint8)
    Image.fromarray(colours[..., 0]).save(folder / "gray.png")
    Image.fromarray(colours[..., :3]).save(folder / "colour.png")
    Image.fromarray(colours).save(folder / "alpha.png")
    Image.fromarray(colours[..., :3]).quantize(16).save(folder / "palette.png")
    Image.fromarray(colours[..., 0].astype(np.uint16) * 256).save(folder / "deep.png")
    Image.fromarray(colours[..., :3]).save(folder / "photo.jpg")
    Image.fromarray(colours[..., 0] / np.float32(255)).save(folder / "real.tif")
    Image.fromarray(colours[..., 0]).save(folder / "moving.gif")
    Image.fromarray(colours[..., :3]).save(folder / "map.bmp")
    Image.fromarray(colours[..., :3]).save(folder / "web.webp")


def tables(folder: Path, rng) -> None:
    np.savetxt(folder / "table.csv", rng.standard_normal((8, 8)), delimiter=",", header="a,b,c,d,e,f,g,h")
    (folder / "words.csv").write_text("electrode,voltage\n1,0.5\n2,-0.5\n")


def states(folder: Path, rng) -> None:
    state = {"weights": torch.arange(6.0).reshape(2, 3), "step": 3, "history": [1.0, 2.0], "kept": None}
    Checkpoint("run", 3, state).save(folder / "state.safetensors")


def configurations(folder: Path, rng) -> None:
    (folder / "settings.toml").write_text('steps = 3\ntv = 0.5\ngenerator = "unet"\nfit_drift = true\n')


# Name of a kind to what writes its samples.
SAMPLES: dict[str, Callable[[Path, np.random.Generator], None]] = {
    "mat": matlab, "h5": hdf5, "mesh": meshes, "npy": numpy_files, "npz": archives, "picture": pictures, "csv": tables,
    "checkpoint": states, "toml": configurations,
}  # fmt: skip


def write_samples(folder: Path) -> None:
    """All samples, each kind in a folder of its own."""
    for number, (kind, write) in enumerate(SAMPLES.items()):
        (folder / kind).mkdir(parents=True)
        write(folder / kind, np.random.default_rng(number))
