"""Measured or simulated electrical data, whatever their file."""

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from eitdip.data.data import Data, as_mask
from eitdip.data.noise import Gaussian
from eitdip.data.numbers import real_numbers
from eitdip.errors import EitdipError, InvalidDataError, NotPositiveError, OptionError, ShapeError

if TYPE_CHECKING:
    from eitdip.mesh import Ball, Cylinder, Domain, Tank

MODELS = ("electrodes", "dirichlet", "neumann")


@dataclass(frozen=True, eq=False)
class Measurements:
    """K excitations, M measurements each.

    For model "electrodes" the patterns are over the L electrodes: currents in A (per m of depth,
    for plane models) and voltage combinations. For "dirichlet" and "neumann" they are coefficients
    in a basis of J boundary functions: `eitdip.fem.trigonometric(domain, J / 2)` of a plane body,
    `eitdip.fem.harmonics.spherical_harmonics(domain, n)` with J = n (n + 2) of a solid. They give
    boundary potentials (V) or current densities, and the weights of the flux or voltage moments.

    Args:
        model: One of `MODELS`.
        geometry: A `Tank`, `Cylinder` or `Ball` to be meshed, or the user's own `Domain`.
        sources: Excitation patterns, shape (K, L) or (K, J).
        moments: Measurement patterns, shape (M, L) or (M, J).
        values: Data, shape (K, M); NaN only where `mask` is false. V for voltages.
        deviation: Standard deviation of each entry, shape (K, M), > 0, same unit.
        mask: True where there is a measurement, shape (K, M); None for everywhere.
        reference: The same measurements of the homogeneous body, shape (K, M), or None.
        contact_impedance: Shape (L,), > 0, Ohm m^2 (per m of depth, for plane models); only for
            "electrodes".
        truth: True conductivity image, in `unit`, NaN outside the body; or None. Of a plane body shape
            (H, W), row 0 at the top, over the bounding square; of a solid (D, H, W), slice 0 at the
            bottom, over the bounding box.
        provenance: Plain JSON values: where the data come from; for simulated data also the
            phantom, noise, seed and mesh hash.
        reference_mask: True where the homogeneous body was measured, shape (K, M), at least where `mask` is; None for
            just there. Only for a reference that is known beyond `mask`: nothing else there is ever used.
        unit: Of all conductivities, for pictures and tables; "mS per square", for example, where currents
            are in mA and the depth of a plane tank is not known.

    Attributes:
        data: Values, deviation and mask as what is fitted.
        empty: The reference and where it is known, or None.

    Raises:
        ShapeError, InvalidDataError, NotPositiveError, OptionError: If anything contradicts the
            above; the message names the entry.
    """

    model: str
    geometry: "Tank | Cylinder | Ball | Domain"
    sources: np.ndarray
    moments: np.ndarray
    values: np.ndarray
    deviation: np.ndarray
    mask: np.ndarray | None = None
    reference: np.ndarray | None = None
    contact_impedance: np.ndarray | None = None
    truth: np.ndarray | None = None
    provenance: dict = field(default_factory=dict)
    reference_mask: np.ndarray | None = None
    unit: str = "S/m"
    data: Data = field(init=False)
    empty: Data | None = field(init=False)

    def __post_init__(self):
        if not isinstance(self.model, str) or self.model not in MODELS:
            raise OptionError(f"unknown model: got {self.model!r}, expected one of: {', '.join(MODELS)}")
        if not isinstance(self.unit, str) or not 0 < len(self.unit) <= 40 or not self.unit.isprintable():
            raise OptionError(f"unit of the conductivity: got {self.unit!r}, expected a short text such as 'S/m'")
        if not hasattr(self.geometry, "dimension"):
            raise OptionError(f"geometry: got {self.geometry!r}, expected a Tank, Cylinder, Ball or Domain")
        for name in ("sources", "moments", "values", "deviation", "reference", "contact_impedance", "truth"):
            value = getattr(self, name)
            if value is not None or name in ("sources", "moments", "values", "deviation"):
                object.__setattr__(self, name, real_numbers(name, value))
        self._check_shapes()
        object.__setattr__(self, "mask", as_mask("mask", self.mask, self.values.shape))
        self._check_patterns()
        data = self._as_data("values", Gaussian(self.deviation), self.mask, self.provenance)
        object.__setattr__(self, "empty", self._checked_reference())
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "provenance", data.provenance)

    @property
    def count(self) -> int:
        """Number of measurements that are there."""
        return self.data.count

    def _as_data(self, name: str, noise: Gaussian, mask: np.ndarray, provenance: dict | None = None) -> Data:
        """One of the tables; an error names its entry in the words of this class."""
        try:
            return Data(getattr(self, name), noise, mask, provenance={} if provenance is None else provenance)
        except EitdipError as error:
            words = re.sub(r"entry \((\d+), (\d+)\)", r"excitation \1, measurement \2", str(error))
            raise type(error)(re.sub("^data:", f"{name}:", words)) from error

    def _checked_reference(self) -> Data | None:
        if self.reference is None:
            if self.reference_mask is not None:
                raise OptionError("reference_mask: got one without a reference, expected none; leave it out")
            return None
        mask = self.mask
        if self.reference_mask is not None:
            mask = as_mask("reference_mask", self.reference_mask, self.values.shape)
            object.__setattr__(self, "reference_mask", mask)
            if (self.mask & ~mask).any():
                k, m = (int(i) for i in np.argwhere(self.mask & ~mask)[0])
                raise InvalidDataError(
                    f"reference_mask: excitation {k}, measurement {m} is false, expected true wherever `mask` is: the "
                    "difference to the reference is what is fitted; mask it out of the data too"
                )
        return self._as_data("reference", Gaussian(), mask)

    def _check_shapes(self) -> None:
        for name in ("sources", "moments"):
            if getattr(self, name).ndim != 2:
                raise ShapeError(f"{name}: got shape {getattr(self, name).shape}, expected two axes")
        if self.sources.shape[1] != self.moments.shape[1]:
            raise ShapeError(
                f"moments: got {self.moments.shape[1]} columns, expected {self.sources.shape[1]} as sources"
            )
        shape = (len(self.sources), len(self.moments))
        for name in ("values", "deviation", "reference"):
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise ShapeError(f"{name}: got shape {value.shape}, expected (K, M) = {shape}")
        dimension = self.geometry.dimension
        if self.truth is not None and (self.truth.ndim != dimension or not self.truth.size):
            axes = "(H, W) of a plane body" if dimension == 2 else "(D, H, W) of a solid"
            raise ShapeError(f"truth: got shape {self.truth.shape}, expected an image {axes}")
        if self.model == "electrodes":
            count = self.geometry.electrode_count
            if self.sources.shape[1] != count:
                raise ShapeError(f"sources: got {self.sources.shape[1]} columns, expected one per electrode, {count}")
            if self.contact_impedance is None or self.contact_impedance.shape != (count,):
                got = None if self.contact_impedance is None else self.contact_impedance.shape
                raise ShapeError(f"contact_impedance: got shape {got}, expected ({count},)")
        elif not _is_basis(self.sources.shape[1], dimension):
            expected = (
                "a cosine and a sine per frequency" if dimension == 2 else "n (n + 2) for harmonics of degree <= n"
            )
            raise ShapeError(f"sources: got {self.sources.shape[1]} columns, expected {expected}")
        elif self.contact_impedance is not None:
            raise OptionError(f"contact_impedance: got one for model {self.model!r}, expected none; leave it out")

    def _check_patterns(self) -> None:
        for name in ("sources", "moments"):
            if not np.isfinite(getattr(self, name)).all():
                row = int(np.argwhere(~np.isfinite(getattr(self, name)))[0, 0])
                raise InvalidDataError(f"{name}: pattern {row} is not finite")
        if self.truth is not None and (np.isinf(self.truth) | (self.truth <= 0)).any():
            raise NotPositiveError("truth: an entry is <= 0 or infinite; give a conductivity, and NaN outside the body")
        if self.model == "electrodes":
            unequal = np.abs(self.sources.sum(axis=1)) > 1e-6 * np.abs(self.sources).sum(axis=1)
            if unequal.any():
                k = int(unequal.argmax())
                raise InvalidDataError(
                    f"currents: pattern {k} sums to {self.sources[k].sum():g}, expected 0: what enters must leave"
                )
            good = np.isfinite(self.contact_impedance) & (self.contact_impedance > 0)
            if not good.all():
                worst = int(np.flatnonzero(~good)[0])
                raise NotPositiveError(
                    f"contact_impedance: electrode {worst + 1} has {self.contact_impedance[worst]:g}, "
                    "expected > 0 and finite"
                )


def _is_basis(count: int, dimension: int) -> bool:
    """Whether there is a basis of so many boundary functions."""
    return count > 0 and (count % 2 == 0 if dimension == 2 else math.isqrt(count + 1) ** 2 == count + 1)


def noise_deviation(reference: np.ndarray, relative: float, floor: float) -> np.ndarray:
    """Standard deviations of the usual noise model of tanks, same shape as the voltages.

    Args:
        reference: Voltages of the homogeneous body; where it has NaN the floor is returned.
        relative: Part that is proportional to each voltage.
        floor: Part that is proportional to the largest voltage.

    Raises:
        OptionError: If both parts are zero or one is negative.
    """
    if min(relative, floor) < 0 or relative == floor == 0:
        raise OptionError(f"relative, floor: got {relative}, {floor}; expected >= 0 and one of them > 0")
    size = np.nan_to_num(np.abs(reference))
    return np.hypot(relative * size, floor * size.max())
