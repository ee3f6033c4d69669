"""Measured numbers, checked once: what is fitted, how noisy it is, and which of it was measured at all."""

import hashlib
import json
import operator
from dataclasses import dataclass, field

import numpy as np

from eitdip.data.noise import Gaussian, Noise
from eitdip.data.numbers import number, numbers
from eitdip.data.streams import stream
from eitdip.errors import InvalidDataError, OptionError, ShapeError


@dataclass(frozen=True, eq=False)
class Data:
    """y = F(x) + noise where the mask is true. Everything behind this door may rely on what is checked here.

    Args:
        values: Any shape; numbers of any type, arrays or tensors. They become float64 or complex128, and 0 where the
            mask is false, whatever stood there.
        noise: `Gaussian` or `Poisson`; a deviation per entry has the shape of the values.
        mask: True where there is a measurement, shape of the values; booleans, or the numbers 0 and 1 or 0 and 255.
            None for everywhere.
        tied: Axes along which measurements are set aside together, such as the coils of one point of k-space.
        provenance: Plain JSON values: where the data come from.

    Raises:
        ShapeError: If shapes disagree.
        InvalidDataError: If a measurement is not finite or no count where counts are expected, if the mask has other
            entries, or nothing was measured.
        NotPositiveError: If a deviation is not > 0.
        OptionError: If counts have a mask, or there is no such axis to tie.
    """

    values: np.ndarray
    noise: Noise = field(default_factory=Gaussian)
    mask: np.ndarray | None = None
    tied: tuple[int, ...] = ()
    provenance: dict = field(default_factory=dict)

    def __post_init__(self):
        values = numbers("data", self.values)
        mask = as_mask("mask", self.mask, values.shape)
        if not mask.any():
            raise InvalidDataError("mask: no measurement is left; expected at least one entry that is true")
        bad = mask & ~np.isfinite(values)
        if bad.any():
            entry = tuple(int(i) for i in np.argwhere(bad)[0])
            raise InvalidDataError(
                f"data: entry {entry} is {values[entry]:g}, expected a finite number; mask it out if it was not "
                "measured"
            )
        values = np.where(mask, values, 0)
        if not isinstance(self.noise, Noise):
            raise OptionError(f"noise: got {self.noise!r}, expected Gaussian(deviation) or Poisson(background)")
        noise = self.noise.checked(values, mask)
        tied = _axes(self.tied, values)
        given = {"values": values, "mask": mask, "noise": noise, "tied": tied, "provenance": plain(self.provenance)}
        for name, value in given.items():
            object.__setattr__(self, name, value)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the values."""
        return self.values.shape

    @property
    def count(self) -> int:
        """Real numbers that were measured: a complex one is two."""
        return int(self.mask.sum()) * (2 if np.iscomplexobj(self.values) else 1)

    @property
    def deviation(self) -> np.ndarray:
        """Standard deviation of each entry, shape of the values.

        Where it is unknown, a twentieth of the root mean square of the measurements stands for it: a unit.
        """
        return self.noise.deviation(self.values, self.mask)

    @property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of values, noise, mask and tied axes; provenance decides nothing."""
        digest = hashlib.sha256(repr((self.shape, str(self.values.dtype), self.tied)).encode())
        for array in (self.values, self.mask, *self.noise.arrays()):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(self.noise.name.encode())
        return digest.hexdigest()[:16]

    def held_out(self, share: float, seed: int) -> np.ndarray:
        """A random choice of measurements to watch instead of fit: booleans in the shape of the values.

        Args:
            share: Of the measurements (of those that may be set aside independently), 0 < share < 1.
            seed: Of the choice.

        Raises:
            OptionError: If nothing would be left to fit or to watch.
        """
        units = self.mask.any(axis=self.tied, keepdims=True)
        places = np.flatnonzero(units)
        share = number("held_out", share)
        count = round(share * len(places)) if 0 < share < 1 else 0
        if not 0 < count < len(places):
            raise OptionError(f"held_out: got {share:g} of {len(places)} measurements, expected some but not all")
        chosen = np.zeros(units.size, bool)
        chosen[stream(seed, "held-out").choice(places, count, replace=False)] = True
        return np.broadcast_to(chosen.reshape(units.shape), self.shape) & self.mask


def _axes(tied, values: np.ndarray) -> tuple[int, ...]:
    try:
        axes = tuple(operator.index(axis) for axis in tied)
    except TypeError as error:
        raise OptionError(f"tied: got {tied!r}, expected the numbers of axes, such as (0,)") from error
    if any(not -values.ndim <= axis < values.ndim for axis in axes):
        raise OptionError(f"tied: got the axes {axes}, expected axes of an array of shape {values.shape}")
    return tuple(sorted(axis % values.ndim for axis in axes))


def as_mask(name: str, mask, shape: tuple[int, ...]) -> np.ndarray:
    """Booleans of a shape, true everywhere if there is no mask.

    Raises:
        ShapeError: If it has another shape.
        InvalidDataError: If it holds anything but booleans, 0 and 1, or 0 and 255.
    """
    if mask is None:
        return np.ones(shape, bool)
    array = numbers(name, mask)
    if array.shape != shape:
        raise ShapeError(f"{name}: got shape {array.shape}, expected that of the data, {shape}")
    found = set(np.unique(array).tolist())
    if not (found <= {0, 1} or found <= {0, 255}):
        raise InvalidDataError(f"{name}: got other numbers than 0 and 1 (or 255), expected true and false")
    return array != 0


def plain(provenance: dict) -> dict:
    """What a file keeps: tuples become lists, so that data equal what is read back.

    Raises:
        InvalidDataError: If something is no finite number, text, list or dictionary.
    """
    if not isinstance(provenance, dict):
        raise InvalidDataError(f"provenance: got {type(provenance).__name__}, expected a dictionary")
    try:
        return json.loads(json.dumps(provenance, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidDataError(f"provenance: {error}; give finite numbers, text, lists and dictionaries") from error
