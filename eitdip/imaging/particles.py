"""Magnetic particle imaging: what superparamagnetic particles induce while a field-free point passes over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd, pi

import numpy as np

from eitdip.errors import NotPositiveError, OptionError, ShapeError, choose
from eitdip.imaging.sensing import DenseOperator
from eitdip.operator import Space

VACUUM_PERMEABILITY = 1.25663706127e-6  # T m / A
BOLTZMANN = 1.380649e-23  # J / K
_SAMPLES_AT_ONCE = 500_000


@dataclass(frozen=True)
class Particle:
    """A ball of iron oxide, magnetized in equilibrium with the field.

    Args:
        diameter: Of the magnetic core, m.
        saturation: Magnetization when all moments are aligned, A/m.
        temperature: K.
        density: Of the core, kg/m^3.

    Raises:
        NotPositiveError: If one is not positive and finite.
    """

    diameter: float = 30e-9
    saturation: float = 4.74e5
    temperature: float = 293.0
    density: float = 5200.0

    def __post_init__(self):
        for name in ("diameter", "saturation", "temperature", "density"):
            _check_positive(name, [getattr(self, name)])

    @property
    def response(self) -> float:
        """Langevin's argument per field, 1/T: the energy m B of a particle in units of k T."""
        moment = self.saturation * pi / 6 * self.diameter**3
        return moment / (BOLTZMANN * self.temperature)


@dataclass(frozen=True)
class FieldFreePoint:
    """A scanner whose field-free point swings on a line or along a Lissajous figure.

    In direction a the field is amplitude_a sin(2 pi cycles_a t / period) - gradient_a r_a, so that it vanishes at the
    point r_a = amplitude_a / gradient_a sin(2 pi cycles_a t / period). There is one receive coil for each direction.

    Args:
        amplitude: Of the drive field in each direction, T; zero is a direction that is not driven.
        gradient: Of the selection field in each direction, T/m, > 0.
        cycles: Swings in each direction during one period; without a common divisor.
        period: After which the path repeats, s.
        sensitivity: Field of a receive coil for 1 A, in A/m per A, that is 1/m.

    Raises:
        ShapeError: If it is not one, two or three directions, or their numbers disagree.
        NotPositiveError: If a quantity is out of range.
        OptionError: If the cycles have a common divisor: then the period is shorter.
    """

    amplitude: tuple[float, ...] = (14e-3,)
    gradient: tuple[float, ...] = (2.0,)
    cycles: tuple[int, ...] = (1,)
    period: float = 40e-6
    sensitivity: float = 1.0

    def __post_init__(self):
        counts = len(self.amplitude), len(self.gradient), len(self.cycles)
        if len(set(counts)) != 1 or not 1 <= counts[0] <= 3:
            raise ShapeError(f"amplitude, gradient, cycles: got {counts} numbers, expected 1, 2 or 3 of each")
        if not all(0 <= a < float("inf") for a in self.amplitude) or not any(self.amplitude):
            raise NotPositiveError(f"amplitude: got {self.amplitude}, expected numbers >= 0, and one of them > 0")
        for name, values in (("gradient", self.gradient), ("cycles", self.cycles)):
            _check_positive(name, values)
        _check_positive("period, sensitivity", [self.period, self.sensitivity])
        if gcd(*self.cycles) != 1:
            raise OptionError(
                f"cycles: got {self.cycles}, expected no common divisor; divide them and the period by it"
            )

    @property
    def reach(self) -> tuple[float, ...]:
        """How far from the centre the field-free point gets in each direction, m."""
        return tuple(a / g for a, g in zip(self.amplitude, self.gradient, strict=True))

    def drive(self, samples: int) -> np.ndarray:
        """Drive fields at equidistant times of one period, T, shape (directions, samples)."""
        phase = 2 * pi * np.outer(self.cycles, np.arange(samples)) / samples
        return np.asarray(self.amplitude)[:, None] * np.sin(phase)


class MagneticParticleImaging(DenseOperator):
    """Voltages of the receive coils, in harmonics, from the distribution of the particles.

    The particles follow the field at once (Langevin's model, no relaxation): iron oxide of mass c magnetizes to
    c saturation / density L(|xi|) xi / |xi|, xi = response * field. A coil sees u = -mu0 sensitivity d/dt of the
    moment, and its Fourier coefficients u_n, u(t) = sum_n u_n exp(2 pi i n t / period), are the data. Images are real
    and data complex, so the adjoint takes the real part: Re <A c, u> = <c, A* u>. Masses in g/m, g/m^2 or g/m^3 and
    voltages in uV are of a size that single precision can square.

    Args:
        scanner: Fields and coils; one direction for each axis of the image.
        particle: What is seen.
        shape: (N,) with x along it, or (H, W) with row 0 at the top, at the largest y.
        size: Of the image in each of its axes, m; by default what the field-free point covers.
        harmonics: Indices n, > 0; n = cycles, the drive itself, is often left out since the coils receive it too.
        dtype: "float64" or "float32", of images.

    Raises:
        ShapeError: If shape or size do not have the scanner's directions.
        OptionError: If the harmonics are not positive integers, or the type is unknown.
        NotPositiveError: If the size is not positive.

    References:
        Rahmer, Weizenecker, Gleich, Borgert (2009), BMC Medical Imaging 9:4: with large particles and one direction
        harmonic n is proportional to sin(n acos(r / reach)).
    """

    def __init__(
        self,
        scanner: FieldFreePoint,
        particle: Particle,
        shape: tuple[int, ...],
        size: tuple[float, ...] | None = None,
        *,
        harmonics: Sequence[int],
        dtype: str = "float64",
    ):
        complex_dtype = choose("dtype", dtype, {"float64": "complex128", "float32": "complex64"})
        directions = len(scanner.amplitude)
        shape = tuple(shape)
        size = tuple(2 * r for r in reversed(scanner.reach)) if size is None else tuple(size)
        if len(shape) != directions or len(size) != directions or not all(n == int(n) and n > 0 for n in shape):
            raise ShapeError(
                f"shape, size: got {shape}, {size}; expected {directions} positive numbers in each, one for each axis"
            )
        _check_positive("size", size)
        axes = [(np.arange(n) + 0.5) * (length / n) - length / 2 for n, length in zip(shape, size, strict=True)]
        if directions > 1:
            axes[-2] = -axes[-2]  # row 0 at the top
        grid = np.meshgrid(*axes, indexing="ij")
        positions = np.stack([axis.ravel() for axis in reversed(grid)], axis=1)  # x, then y, as the directions are
        cell = float(np.prod(np.asarray(size) / shape))
        matrix = 1e3 * cell * system_function(scanner, particle, positions, harmonics)  # uV per g / m^d
        domain = Space(shape, dtype, "iron oxide, " + ("g/m", "g/m^2", "g/m^3")[directions - 1])
        range = Space(matrix.shape[:2], complex_dtype, "harmonics, uV")
        super().__init__(matrix.reshape(range.size, -1), domain, range)
        self.scanner, self.particle, self.harmonics = scanner, particle, tuple(harmonics)


def system_function(
    scanner: FieldFreePoint, particle: Particle, positions: np.ndarray, harmonics: Sequence[int]
) -> np.ndarray:
    """Harmonics of the voltages that 1 kg of iron oxide at each position induces.

    The magnetization is sampled so finely that its Fourier coefficients are exact to about 1e-12: as a function of
    complex time it is analytic up to where xi = i pi, which is the farther from the real axis the smaller the
    particles are.

    Args:
        scanner: Fields and coils.
        particle: What is seen.
        positions: Shape (N, directions), m.
        harmonics: Indices n, > 0.

    Returns:
        Shape (directions, harmonics, N), complex, V/kg.

    Raises:
        OptionError: If the harmonics are not positive integers.
        ShapeError: If the positions do not have the scanner's directions.
    """
    harmonics = np.asarray(harmonics)
    if harmonics.ndim != 1 or not len(harmonics) or harmonics.dtype.kind not in "iu" or harmonics.min() < 1:
        raise OptionError(f"harmonics: got {harmonics.tolist()}, expected integers, at least 1")
    positions = np.asarray(positions, dtype=float)
    directions = len(scanner.amplitude)
    if positions.ndim != 2 or positions.shape[1] != directions:
        raise ShapeError(f"positions: got shape {positions.shape}, expected (N, {directions})")
    speed = particle.response * float(np.linalg.norm(np.multiply(scanner.amplitude, scanner.cycles)))
    samples = 1 << int(np.ceil(np.log2(10 * speed + 64 + 2 * harmonics.max())))
    drive = scanner.drive(samples)
    result = np.empty((directions, len(harmonics), len(positions)), dtype=complex)
    per_block = max(1, _SAMPLES_AT_ONCE // (samples * directions))
    for first in range(0, len(positions), per_block):
        block = slice(first, first + per_block)
        field = drive[:, None, :] - (np.asarray(scanner.gradient) * positions[block]).T[:, :, None]
        xi = particle.response * field
        moment = xi * _langevin_ratio(np.sqrt(np.square(xi).sum(axis=0)))
        spectrum = np.fft.rfft(moment, axis=-1)[..., harmonics] / samples
        result[..., block] = np.moveaxis(spectrum, -1, 1)
    rate = 2j * pi * harmonics / scanner.period  # of d/dt
    per_mass = particle.saturation / particle.density
    return -VACUUM_PERMEABILITY * scanner.sensitivity * per_mass * rate[:, None] * result


def _langevin_ratio(s: np.ndarray) -> np.ndarray:
    """(coth s - 1 / s) / s for s >= 0; its series where the two terms would cancel."""
    large = np.maximum(s, 1e-2)
    series = 1 / 3 - s**2 / 45 + 2 * s**4 / 945
    return np.where(s < 1e-2, series, (1 / np.tanh(large) - 1 / large) / large)


def _check_positive(name: str, values) -> None:
    if not all(0 < value < float("inf") for value in values):
        raise NotPositiveError(f"{name}: got {', '.join(map(str, values))}; expected > 0 and finite")
