"""KIT4: the open plane EIT data of the University of Eastern Finland, 16 electrodes.

A file datamat_P_N.mat holds the voltages `Uel`, one injection a column, the currents
`CurrentPattern` and the voltage patterns `MeasPattern`, one a column each. Voltage m is electrode m
minus electrode m + 1, the last one electrode 16 minus electrode 1; so the 16 voltages of an injection
sum to zero. datamat_1_0.mat is the tank with water only.

Units: numbers are kept as they are in the file. Voltages are in V and the currents fit mA, so a plane
model with lengths in m has its conductivity in mS per square (the empty tank fits best at 1.32 to
1.34, within 1.5 %) and contact impedances in kOhm m (V m/mA).

There is no official noise model. The one here was measured: only 15 of the 79 injections are
independent, and the deviation is what no linear model explains in U - Uref (the misfit of three
tanks is 0.8 to 2.4 per voltage). In U itself that part is about five times as large.

References:
    Hauptmann, Kolehmainen, Mach, Savolainen, Seppänen, Siltanen (2017), Open 2D electrical impedance
    tomography data archive, arXiv 1704.01178, DOI 10.5281/zenodo.1203914.
"""

from collections.abc import Collection

import numpy as np

from eitdip.data.files import MatFile, as_path, check_currents, naming
from eitdip.data.measurements import Measurements, noise_deviation
from eitdip.errors import FileFormatError, InvalidDataError, ShapeError
from eitdip.mesh import Tank

TANK = Tank(radius=0.14, electrodes=16, width=0.025, first=90.0, clockwise=True)
UNIT = "mS per square"  # of conductivities; see above
FIELDS = ("Uel", "CurrentPattern", "MeasPattern")
CONTACT_IMPEDANCE = 1e-5  # kOhm m; anything below 1e-4 fits the empty tank alike, 1e-3 is much worse


def is_kit4(fields: Collection[str]) -> bool:
    """Whether a MATLAB file with these fields is a KIT4 data file."""
    return set(FIELDS) <= set(fields)


def load(path, reference=None) -> Measurements:
    """Voltages of one tank.

    Args:
        path: datamat_P_N.mat.
        reference: The tank with water only; by default datamat_1_0.mat beside the data.

    Returns:
        Values (79, 16) in V, currents (79, 16) in mA, deviation: variance (0.001 |Uref|)^2 +
        (0.0003 max |Uref|)^2.

    Raises:
        FileFormatError: If a file is missing, damaged or has other fields.
        ShapeError: If the voltages do not fit the injections and voltage patterns.
        InvalidDataError: If a voltage is not finite, currents do not sum to zero, or the patterns
            of data and reference differ.
    """
    data = MatFile.read(path)
    beside = data.path.with_name("datamat_1_0.mat")
    if reference is None and not beside.is_file():
        raise FileFormatError(
            f"{beside}: no such file; expected the empty tank beside the data, or name it as reference"
        )
    empty = MatFile.read(beside if reference is None else as_path(reference))
    sources, moments, values = _read(data)
    expected_sources, expected_moments, voltages = _read(empty)
    for name, got, expected in (
        ("CurrentPattern", sources, expected_sources),
        ("MeasPattern", moments, expected_moments),
    ):
        if got.shape != expected.shape or not np.allclose(got, expected, rtol=0, atol=1e-6 * np.abs(expected).max()):
            raise InvalidDataError(
                f"{data.path}: {name} differs from that of {empty.path}; use the reference of the same measurement"
            )
    with naming(path):
        return Measurements(
            model="electrodes",
            geometry=TANK,
            sources=sources,
            moments=moments,
            values=values,
            deviation=noise_deviation(voltages, 1e-3, 3e-4),
            reference=voltages,
            contact_impedance=np.full(TANK.electrodes, CONTACT_IMPEDANCE),
            provenance={
                "format": "KIT4",
                "file": data.path.name,
                "sha256": data.sha256,
                "reference": empty.path.name,
                "reference_sha256": empty.sha256,
                "units": {"current": "mA", "voltage": "V", "conductivity": UNIT, "length": "m"},
            },
            unit=UNIT,
        )


def _read(file: MatFile) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Currents (K, 16), voltage patterns (M, 16) and voltages (K, M)."""
    file.expect(FIELDS, "a KIT4 data file")
    sources = check_currents(file, "CurrentPattern", TANK.electrodes).T
    moments = file.matrix("MeasPattern", TANK.electrodes).T
    values = file.matrix("Uel").T
    if values.shape != (len(sources), len(moments)):
        raise ShapeError(
            f"{file.path}: Uel: got shape {values.T.shape}, expected {(len(moments), len(sources))}: "
            "one row per voltage pattern, one column per injection"
        )
    if np.isnan(values).any():
        injection, voltage = (int(i) + 1 for i in np.argwhere(np.isnan(values))[0])
        raise InvalidDataError(
            f"{file.path}: injection {injection}, voltage {voltage} (counted from 1) is NaN, "
            "expected a number (KIT4 has every voltage); fetch the file again"
        )
    return sources, moments, values
