"""From a file to a problem: its content tells what it is."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from eitdip.data import hdf5, htc2022, kit4, ktc2023, mri, pet, walnut
from eitdip.data import load as load_measurements
from eitdip.data.arrays import SIGNATURE as NUMPY
from eitdip.data.arrays import names_of_npz
from eitdip.data.data import Data
from eitdip.data.files import MatFile, read_bytes
from eitdip.data.noise import Gaussian
from eitdip.data.pictures import EXAMPLE, gray, is_picture, read_picture, read_pixels, scaled, square
from eitdip.data.volumes import DRAWN, is_volume, read_volume
from eitdip.errors import FileFormatError, OptionError, ShapeError
from eitdip.problems.problem import Problem
from eitdip.ranks.collectives import together, world
from eitdip.settings import Settings, configured, setting


@dataclass(frozen=True)
class Reading(Settings):
    """How images' data are read or simulated; which settings a task uses, and their defaults, says `TASKS`."""

    size: int | None = setting(
        "pixels per side of the image; 0 takes the picture, or volume, as it is", least=0, most=8192
    )
    noise: float | None = setting(
        "standard deviation of simulated noise, of a picture with values from 0 to 1; for ct and cone-beam "
        "over the root mean square of the projections; 0 for denoise: the picture itself is noisy",
        least=0,
    )
    noise_seed: int | None = setting("of simulated noise and random masks", least=0)
    colour: bool | None = setting("keep the colours of a picture")
    white: float | None = setting("number that is white, where the type of a picture's numbers does not tell", above=0)
    mask: str | None = setting("for inpaint: a picture of the same size, white where pixels are known")
    missing: float | None = setting("for inpaint: share of unknown pixels", above=0, below=1)
    factor: int | None = setting("for super-resolve", least=1, most=1024)
    width: float | None = setting("for deblur: standard deviation of the blur, pixels", above=0, most=1000)
    share: float | None = setting("for compressed-sense: measurements over pixels", above=0, most=4)
    views: int | None = setting(
        "for ct and cone-beam: number of directions; 0 for all of a measured sinogram", least=0, most=10**5
    )
    start: float | None = setting("for a measured sinogram: first angle, degrees")
    span: float | None = setting("for a measured sinogram: angle of view, degrees; 0 for all of them", least=0)
    binning: int | None = setting(
        "for measured projections: detector pixels that are averaged, along each axis", least=1
    )
    calibration: int | None = setting(
        "for mri with several coils: side of the middle of k-space that is fully sampled", least=1
    )


@dataclass(frozen=True, eq=False)
class Source:
    """Something that was read and checked, and becomes a problem on given ranks.

    Args:
        name: Of the file.
        kind: Of the unknown: "plane", "solid" or "image".
        make: From a communicator (None for all ranks) to the problem.
    """

    name: str
    kind: str
    make: Callable[[object], Problem]


def load(path, *, task: str | None = None, reference=None, level: int | None = None, comm=None, **settings) -> Problem:
    """The problem that a file poses.

    Args:
        path: A tank (.mat of KTC2023 or KIT4, eitdip's own .h5), a .mat of the Helsinki Tomography Challenge 2022, a
            .npy of k-space or of a volume, a .npz of a transmission scan, the .geom of a walnut's scan, a picture
            (also "skimage:NAME"), or a volume that is drawn ("phantom:shapes-3").
        task: For pictures: "denoise", "inpaint", "super-resolve", "deblur", "compressed-sense" or "ct".
        reference: For tanks: the measurement of the empty tank; by default the usual one beside the data.
        level: For KTC2023: difficulty 1..7, by default 1.
        comm: MPI communicator that shares the model, by default all ranks.
        settings: Fields of `eitdip.problems.bodies.Meshing` for tanks, of `Reading` for images.

    Raises:
        FileFormatError, ShapeError, InvalidDataError, NotPositiveError: If the file is not what it should be.
        OptionError: If task or a setting does not apply to what the file holds.
    """
    comm = world() if comm is None else comm
    with together(comm):
        source = read(path, task=task, reference=reference, level=level, settings=settings)
    return source.make(comm)


def read(path, *, task=None, reference=None, level=None, settings: dict | None = None) -> Source:
    """Like `load`, up to where the ranks matter: all that can be wrong with the file is found here."""
    found, name = detect(path), Path(str(path)).name
    if found == "tank":
        from eitdip.problems import bodies  # finite elements: images need none

        if task is not None:
            raise OptionError(f"task: got {task!r} for {path}, which holds measurements of a tank; leave it out")
        meshing = configured(bodies.Meshing(), settings or {})
        measurements = load_measurements(path, reference=reference, level=level)
        kind = {2: "plane", 3: "solid"}[measurements.geometry.dimension]
        chosen = {"reference": None if reference is None else Path(str(reference)).name, "level": level}

        def make(comm) -> Problem:
            problem = bodies.prepare(measurements, meshing, comm)
            return replace(problem, settings=chosen | problem.settings)

        return Source(name, kind, make)
    for option, value in (("reference", reference), ("level", level)):
        if value is not None:
            raise OptionError(f"{option}: got {value} for {path}, expected it with tank data only; leave it out")
    problem = _image(path, found, task, settings or {})
    return Source(name, "image", lambda comm: problem)


def settings_class(path) -> type:
    """The class of the settings that `load` takes for a file: `Meshing` or `Reading`."""
    if detect(path) != "tank":
        return Reading
    from eitdip.problems.bodies import Meshing

    return Meshing


def detect(path) -> str:
    """What a file holds: "tank", "disc", "kspace", "volume", "cone scan", "transmission" or "picture".

    Raises:
        FileFormatError: If it is missing, or nothing that is read here.
    """
    if str(path).startswith(EXAMPLE):
        return "picture"
    if str(path).startswith(DRAWN):
        return "volume"
    start = read_bytes(path, 512)
    if start.startswith(hdf5.SIGNATURE):
        return "tank"
    if start.startswith(NUMPY):
        return "volume" if is_volume(start) else "kspace"
    if start.startswith(b"PK") and set(pet.FIELDS) <= names_of_npz(read_bytes(path)):
        return "transmission"
    if start.startswith(b"MATLAB") or Path(path).suffix.lower() == ".mat":
        names = MatFile.read(path).fields
        if any(name in names for name in htc2022.STRUCTS):
            return "disc"
        if ktc2023.is_ktc2023(names) or kit4.is_kit4(names):
            return "tank"
    elif is_picture(path):
        return "picture"
    elif walnut.is_geometry(start):
        return "cone scan"
    raise FileFormatError(
        f"{path}: its content is not known; expected a .mat of KTC2023, KIT4 or HTC2022, eitdip's own .h5 (README, "
        "'Your own tank'), a .npy of k-space or of a volume, a .npz of a transmission scan, a .geom of a walnut, or a "
        "picture"
    )


def _image(path, found: str, task: str | None, settings: dict) -> Problem:
    known = TASKS[found]
    if task is None and len(known) > 1:
        raise OptionError(f"task: got none for {path}, which holds a {found}; expected one of: {', '.join(known)}")
    task = task or next(iter(known))
    if task not in known:
        raise OptionError(f"task: got {task!r} for {path}, which holds a {found}; expected one of: {', '.join(known)}")
    make, defaults = known[task]
    given = configured(Reading(), settings)
    chosen = dict(defaults)
    for name in (f.name for f in fields(given)):
        value = getattr(given, name)
        if value is not None and name not in defaults:
            raise OptionError(f"option {name}: got {value} for {task} of a {found}, which uses {', '.join(defaults)}")
        chosen |= {name: value} if value is not None else {}
    return replace(make(path, **chosen), settings={"task": task} | chosen)


def _picture(path, size: int, colour: bool, white: float | None) -> np.ndarray:
    picture = read_picture(path, white)
    picture = picture if colour else gray(picture)
    return square(picture, size) if size else picture


def _denoise(path, size, colour, white, noise, noise_seed) -> Problem:
    from eitdip.problems import images, simulate_images

    picture = _picture(path, size, colour, white)
    if noise:
        return simulate_images.denoise(picture, sigma=noise, seed=noise_seed)
    data = Data(picture, Gaussian(None), provenance=_origin(path))
    return images.image_problem("denoise", simulate_images.denoising(picture.shape), data, low=0.0, high=1.0)


def _degraded(name: str):
    def make(path, size, colour, white, noise, noise_seed, **own) -> Problem:
        from eitdip.problems import simulate_images

        simulated = getattr(simulate_images, name)
        return simulated(_picture(path, size, colour, white), sigma=noise, seed=noise_seed, **own)

    return make


def _inpaint(path, mask, size, colour, white, noise, noise_seed, missing) -> Problem:
    """Of a picture with holes, transparent or told by a mask, those; of any other simulated ones."""
    pixels, known = read_pixels(path)
    if mask is None and known.all():
        return _degraded("inpaint")(path, size, colour, white, noise, noise_seed, missing=missing)
    if mask is not None:
        marked = gray(read_picture(mask))
        if marked.shape != known.shape:
            raise ShapeError(f"{mask}: got a mask of shape {marked.shape}, expected {known.shape} as {path}")
        known = known & (marked > 0.5)
    from eitdip.problems import images, simulate_images

    picture = scaled(pixels, path, white)
    picture = picture if colour else gray(picture)
    mask = np.array(np.broadcast_to(known, picture.shape))
    data = Data(picture, Gaussian(None), mask, (0,) * (picture.ndim - 2), _origin(path))
    return images.image_problem("inpaint", simulate_images.inpainting(mask), data, low=0.0, high=1.0)


def _disc(path, size, views, start, span, binning) -> Problem:
    from eitdip.problems import images, scans

    disc = htc2022.load(path)
    disc = disc.limited(start, span) if span else disc
    disc = disc.thinned(views) if views else disc
    disc = disc.binned(binning)
    return images.image_problem("ct", scans.disc_operator(disc, size or htc2022.SIDE), disc.data, low=0.0)


def _mri(path, calibration) -> Problem:
    from eitdip.imaging import CartesianMRI, coil_maps
    from eitdip.problems import images

    data, mask = mri.load_kspace(path)
    kspace = data.values.astype(np.complex64)
    maps = coil_maps(kspace, calibration) if len(kspace) > 1 else None
    return images.image_problem("mri", CartesianMRI(mask, maps), data)


def _pet(path, size) -> Problem:
    from eitdip.imaging import Transmission
    from eitdip.problems import images, scans

    scan = pet.load(path)
    side = size or scan.geometry.shape[0]
    model = Transmission(scans.pet_projector(scan.geometry, (side, side)), scan.blank)
    return images.image_problem("pet", model, scan.data, low=0.0)


def _cone_beam(path, size, noise, noise_seed, views) -> Problem:
    from eitdip.problems.cone_beams import cone_beam

    return cone_beam(read_volume(path, size), views=views, sigma=noise, seed=noise_seed)


def _cone_scan(path, size, views, binning) -> Problem:
    from eitdip.problems.cone_beams import scan_problem

    return scan_problem(walnut.load(path, views, binning), size)


def _origin(path) -> dict:
    return {"file": Path(str(path)).name}


def _of_picture(noise: float, **own) -> dict:
    return {"size": 128, "colour": False, "white": None, "noise": noise, "noise_seed": 0, **own}


# What a file may be used for: the loader, and the settings that it uses with their defaults. The noise of a task is as
# large as does not hide what the task is about.
TASKS = {
    "picture": {
        # By default the whole picture as it is; noise is added when it is asked for.
        "denoise": (_denoise, _of_picture(0.0) | {"size": 0}),
        "inpaint": (_inpaint, _of_picture(0.05, missing=0.5, mask=None)),
        "super-resolve": (_degraded("super_resolve"), _of_picture(0.01, factor=2)),
        "deblur": (_degraded("deblur"), _of_picture(0.01, width=1.5)),
        "compressed-sense": (_degraded("compressed_sense"), _of_picture(0.01, share=0.25)),
        "ct": (_degraded("tomography"), _of_picture(0.05, views=30)),
    },
    "disc": {"ct": (_disc, {"size": 128, "views": 30, "start": 0.0, "span": 0.0, "binning": 1})},
    "volume": {"cone-beam": (_cone_beam, {"size": 48, "noise": 0.05, "noise_seed": 0, "views": 30})},
    "cone scan": {"cone-beam": (_cone_scan, {"size": 167, "views": 60, "binning": 3})},
    "kspace": {"mri": (_mri, {"calibration": 24})},
    "transmission": {"pet": (_pet, {"size": 128})},
}

__all__ = ["TASKS", "Reading", "Source", "detect", "load", "read", "settings_class"]
