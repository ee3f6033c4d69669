"""What a user calls with a file, by the kind of file."""

import hashlib
from pathlib import Path

from eitdip.cli.settings import from_file
from eitdip.data import fips, htc2022, ktc2023
from eitdip.data import load as load_measurements
from eitdip.mesh.files import read_domain
from eitdip.methods.options import Method, Running
from eitdip.problems import load
from eitdip.problems.bodies import Meshing
from eitdip.ranks.collectives import alone
from eitdip.reconstruction.checkpoint import Checkpoint
from eitdip.settings import configured, divided

TASKS = tuple(load.TASKS["picture"])


def open_matlab(path: Path, sample: Path, number: int):
    if sample.stem == "rays":
        fips.load(path, hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()).data  # noqa: B018
    elif sample.stem.startswith("disc"):
        load.read(path, settings={"size": 8, "views": 4})
    elif sample.stem in ("ref", "datamat_1_0"):
        load_measurements(sample.with_name("ktc.mat" if sample.stem == "ref" else "kit4.mat"), reference=path)
    elif number % 20 == 0:
        (ktc2023.truth, htc2022.load_segmentation, load.settings_class)[number // 20 % 3](path)
    else:
        beside = {"kit4": "datamat_1_0.mat"}.get(sample.stem, "ref.mat")
        load.read(path, reference=sample.with_name(beside), level=1 + number % 7 if sample.stem != "kit4" else None)


def open_hdf5(path: Path, sample: Path, number: int):
    source = load.read(path, settings={"h": 0.5, "background": 1.0, "degree": 1})
    if number % 40 == 0:
        source.make(alone())


def open_mesh(path: Path, sample: Path, number: int):
    if sample.suffix == ".h5":  # the numbers of an .xdmf beside it
        text = sample.with_suffix(".xdmf").read_text().replace(sample.name, path.name)
        path = path.with_name("input_beside.xdmf")
        path.write_text(text)
    read_domain(path, ("m", "mm")[number % 2])


def open_picture(path: Path, sample: Path, number: int):
    settings = {"size": 16} if number % 5 else {}
    load.read(path, task=TASKS[number % len(TASKS)], settings=settings | ({"white": 255.0} if number % 3 == 0 else {}))
    if number % 10 == 0:
        load.read(sample, task="inpaint", settings={"mask": str(path)})


def open_array(path: Path, sample: Path, number: int):
    load.read(path, settings={"calibration": 4})


def open_archive(path: Path, sample: Path, number: int):
    load.read(path, settings={"size": 8})


def open_table(path: Path, sample: Path, number: int):
    load.read(path, task=(None, *TASKS)[number % (len(TASKS) + 1)])


def open_checkpoint(path: Path, sample: Path, number: int):
    Checkpoint.load(path, "run")


def open_configuration(path: Path, sample: Path, number: int):
    owners = Method, Running, Meshing
    for given, owner in zip(divided(from_file(path), *owners), owners, strict=True):
        configured(owner(), given)


DOORS = {
    "mat": open_matlab, "h5": open_hdf5, "mesh": open_mesh, "npy": open_array, "npz": open_archive,
    "picture": open_picture, "csv": open_table, "checkpoint": open_checkpoint, "toml": open_configuration,
}  # fmt: skip
