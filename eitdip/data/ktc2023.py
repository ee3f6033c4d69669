"""Kuopio Tomography Challenge 2023: a thin water tank with 32 electrodes.

A data file holds the voltages `Uel`, the injected currents `Inj` (one injection a column) and the
voltage patterns `Mpat` (one a column); `ref.mat` holds `Uelref`, `Injref` and `Mpat` of the tank with
water only. Entry M k + m of `Uel` is voltage pattern m under injection k.

Units: numbers are kept as they are in the file. Voltages are in V and the currents fit mA, so a plane
model with lengths in m has its conductivity in mS per square (mS/m times the depth of the water;
water is about 0.75) and contact impedances in kOhm m (V m/mA).

The measured voltages are not exactly linear in the recorded currents: what the 76 injections, of
which only 15 are independent, leave unexplained by any linear model is 1.3 % of the largest voltage,
most of it the same in every injection, and 4 to 9 % of the norm of U - Uref. Repeated injections agree
with the organisers' noise model, but by that model no linear one gets U - Uref below a mean squared
misfit of 228, 140, 98 and 31 per voltage on training tanks 1 to 4. The water of tanks 3 and 4 conducted
about 2 and 8 % better than that of the reference, so a background must be free to differ from it.

References:
    Räsänen et al. (2023), Kuopio Tomography Challenge 2023, DOI 10.5281/zenodo.8252370.
"""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from eitdip.data.files import MatFile, as_path, check_currents, naming
from eitdip.data.measurements import Measurements, noise_deviation
from eitdip.errors import FileFormatError, InvalidDataError, OptionError, ShapeError
from eitdip.mesh import Tank

# The organisers' meshes have electrodes of 11.3 mm. Those of 13.6 mm fit the empty tank best, on finer meshes too, and
# miss 2.8 % of its voltages instead of 4.6 %; neither objects nor truths were looked at.
TANK = Tank(radius=0.115, electrodes=32, width=0.0136, first=90.0, clockwise=False)
UNIT = "mS per square"  # of conductivities; see above
FIELDS = ("Uel", "Inj", "Mpat")
REFERENCE_FIELDS = ("Uelref", "Injref", "Mpat")
LEVELS = range(1, 8)
CONTACT_IMPEDANCE = 1e-6  # every team's value; 1e-4 fits the empty tank as well
IMAGE_SHAPE = (256, 256)
# Standard deviation of U - Uref, relative and over the largest voltage, that is left at the true
# images of the training tanks after calibration. The organisers' noise, (0.0005, 0.0001), is far
# below it: no model that is linear in the currents reaches it.
_DEVIATION = (0.012, 0.00125)


def is_ktc2023(fields: Collection[str]) -> bool:
    """Whether a MATLAB file with these fields is a data file of the challenge."""
    return set(FIELDS) <= set(fields)


def load(path, reference=None, level: int = 1) -> Measurements:
    """Voltages of one tank.

    At difficulty level l the electrodes 1..2(l-1) are gone: injections and voltages that use one
    are masked. A file may hold NaN for them, or leave them out.

    Args:
        path: dataN.mat.
        reference: The tank with water only; by default ref.mat beside the data.
        level: Difficulty 1..7.

    Returns:
        Values (76, 31) in V, currents (76, 32) in mA, deviation of the calibrated model:
        variance (0.012 |Uref|)^2 + (0.00125 max |Uref|)^2.

    Raises:
        FileFormatError: If a file is missing, damaged or has other fields.
        ShapeError: If the number of voltages does not fit the injections and voltage patterns.
        InvalidDataError: If currents do not sum to zero or differ between data and reference, or
            a voltage that the level keeps is not there.
        OptionError: If the level is unknown.
    """
    if level not in LEVELS:
        raise OptionError(f"level: got {level!r}, expected one of: {', '.join(map(str, LEVELS))}")
    data = MatFile.read(path)
    data.expect(FIELDS, "a KTC2023 data file")
    empty = _read_reference(data.path.with_name("ref.mat") if reference is None else as_path(reference), reference)
    sources = check_currents(empty, "Injref", TANK.electrodes)
    moments = empty.matrix("Mpat", TANK.electrodes)
    mask = _kept(sources, moments, level)
    voltages = _table(empty, "Uelref", np.ones_like(mask))
    values = _values(data, empty, sources, moments, mask)
    _check_present(data, values, sources, moments, level)
    _check_present(empty, voltages, sources, moments, level)
    with naming(path):
        return Measurements(
            model="electrodes",
            geometry=TANK,
            sources=sources.T,
            moments=moments.T,
            values=values,
            deviation=noise_deviation(voltages, *_DEVIATION),
            mask=mask,
            reference=voltages,
            reference_mask=~np.isnan(voltages),  # the water was measured with all electrodes, at every level
            contact_impedance=np.full(TANK.electrodes, CONTACT_IMPEDANCE),
            provenance={
                "format": "KTC2023",
                "file": data.path.name,
                "sha256": data.sha256,
                "reference": empty.path.name,
                "reference_sha256": empty.sha256,
                "level": int(level),
                "units": {"current": "mA", "voltage": "V", "conductivity": UNIT, "length": "m"},
            },
            unit=UNIT,
        )


def truth(path) -> np.ndarray:
    """The true classes of a trueN.mat.

    Returns:
        uint8 image of shape (256, 256), row 0 at the top: 0 water, 1 resistive, 2 conductive; over
        the bounding square of the tank.

    Raises:
        FileFormatError: If the file is missing, damaged or has no field `truth`.
        ShapeError: If the image has another shape.
        InvalidDataError: If an entry is not 0, 1 or 2.
    """
    file = MatFile.read(path)
    file.expect(("truth",), "a KTC2023 truth file")
    image = file.matrix("truth")
    if image.shape != IMAGE_SHAPE:
        raise ShapeError(f"{path}: truth: got shape {image.shape}, expected {IMAGE_SHAPE}")
    wrong = ~np.isin(image, (0, 1, 2))
    if wrong.any():
        raise InvalidDataError(f"{path}: truth: got {image[wrong][0]:g}, expected only 0, 1 and 2")
    return image.astype(np.uint8)


def _read_reference(path: Path, given) -> MatFile:
    if given is None and not path.is_file():
        raise FileFormatError(f"{path}: no such file; expected the empty tank beside the data, or name it as reference")
    empty = MatFile.read(path)
    empty.expect(REFERENCE_FIELDS, "a KTC2023 reference (the tank with water only)")
    return empty


def _kept(sources: np.ndarray, moments: np.ndarray, level: int) -> np.ndarray:
    """What a level keeps, shape (K, M): patterns that touch no removed electrode."""
    removed = 2 * (level - 1)
    touches = [(patterns[:removed] != 0).any(axis=0) for patterns in (sources, moments)]
    return ~touches[0][:, None] & ~touches[1]


def _table(file: MatFile, name: str, listed: np.ndarray) -> np.ndarray:
    """Voltages for all patterns that the file lists, or only for those of them where `listed` is true."""
    vector, shape = file.matrix(name), listed.shape
    if min(vector.shape) == 1 and vector.size == listed.size:
        return vector.reshape(shape)
    if min(vector.shape) == 1 and vector.size == listed.sum():
        table = np.full(shape, np.nan)
        table[listed] = vector.ravel()
        return table
    raise ShapeError(
        f"{file.path}: {name}: got shape {vector.shape}, expected ({listed.size}, 1): "
        f"{shape[0]} injections of {shape[1]} voltages"
    )


def _values(data: MatFile, empty: MatFile, sources, moments, mask) -> np.ndarray:
    """The voltages in the reference's order, shape (K, M), NaN where the file has none."""
    rows = _places(data, "Inj", check_currents(data, "Inj", TANK.electrodes), sources, empty)
    columns = _places(data, "Mpat", data.matrix("Mpat", TANK.electrodes), moments, empty)
    there = np.ix_(rows, columns)
    values = np.full(mask.shape, np.nan)
    values[there] = _table(data, "Uel", mask[there])
    return values


def _places(data: MatFile, name: str, patterns, expected, empty: MatFile) -> np.ndarray:
    """For each of `patterns` (columns), which column of `expected` it is.

    A pattern that occurs more than once must do so in both: its occurrences are matched in order.
    """
    tolerance = 1e-6 * np.abs(expected).max()
    same = (np.abs(patterns[:, :, None] - expected[:, None, :]) <= tolerance).all(axis=0)
    places = np.empty(len(same), dtype=int)
    for index, matches in enumerate(same):
        twins = np.flatnonzero((same == matches).all(axis=1))
        if not matches.any() or len(twins) != matches.sum():
            count = f"{len(twins)} times, there {matches.sum()} times"
            problem = f"occurs {count}" if matches.any() else "is not there"
            raise InvalidDataError(
                f"{data.path}: {name} does not match {empty.path}: pattern {index + 1} (counted from 1) "
                f"{problem}; use the reference of the same measurement"
            )
        places[index] = np.flatnonzero(matches)[np.searchsorted(twins, index)]
    return places


def _check_present(file: MatFile, values: np.ndarray, sources, moments, level: int) -> None:
    missing = np.isnan(values)
    bad = _kept(sources, moments, level) & missing
    if not bad.any():
        return
    injection, voltage = (int(i) + 1 for i in np.argwhere(bad)[0])
    fitting = [other for other in LEVELS if (_kept(sources, moments, other) == ~missing).all()]
    remedy = f"the file is of level {fitting[0]}" if fitting else "no level removes just that: fetch it again"
    raise InvalidDataError(
        f"{file.path}: injection {injection}, voltage {voltage} (counted from 1) is NaN or left out, "
        f"expected a number at level {level}; {remedy}"
    )
