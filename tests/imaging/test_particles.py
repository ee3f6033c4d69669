"""Magnetic particle imaging against closed forms and against quadrature by another way."""

import numpy as np
import pytest
import torch

from eitdip.errors import NotPositiveError, OptionError, ShapeError
from eitdip.imaging.particles import (
    BOLTZMANN,
    VACUUM_PERMEABILITY,
    FieldFreePoint,
    MagneticParticleImaging,
    Particle,
    system_function,
)

LINE = FieldFreePoint()
LISSAJOUS = FieldFreePoint((8e-3, 6e-3), (1.5, 1.0), (4, 5), period=160e-6, sensitivity=0.5)
HARMONICS = np.arange(2, 21)


def ideal(scanner: FieldFreePoint, particle: Particle, z: np.ndarray) -> np.ndarray:
    """Harmonics of particles that turn at once, at z = r / reach: two jumps of the magnetization in each period."""
    n = HARMONICS[:, None]
    jump = VACUUM_PERMEABILITY * scanner.sensitivity * particle.saturation / particle.density
    shape = (-1j) ** n * np.sin(n * np.arccos(z))  # sin(n acos z) = sqrt(1 - z^2) U_{n-1}(z)
    return -jump * 2 * np.pi / scanner.period * 2j / np.pi * shape


def error(diameter: float, positions: int) -> np.ndarray:
    """Of each harmonic, relative, over the positions."""
    z = (np.arange(positions) + 0.5) / positions * 2 - 1
    particle = Particle(diameter)
    got = system_function(LINE, particle, z[:, None] * LINE.reach[0], HARMONICS)[0]
    expected = ideal(LINE, particle, z)
    return np.linalg.norm(got - expected, axis=1) / np.linalg.norm(expected, axis=1)


def test_harmonics_of_large_particles_are_chebyshev_polynomials():
    assert error(480e-9, 9).max() <= 1e-3


def test_they_converge_as_the_particles_grow():
    errors = np.array([error(diameter, 40) for diameter in (60e-9, 120e-9, 240e-9)])
    assert (errors[1:] < errors[:-1] / 4).all()  # the moment grows by 8
    order = np.log(errors[1:] / errors[:-1]) / np.log(1 / 8)
    assert (order[-1] > 0.9).all() and (order[-1] < 1.1).all()


def test_small_particles_respond_linearly():
    """L(x) = x / 3 for small x: only the drive frequency comes back, with the amplitude of Curie's law."""
    particle = Particle(2e-9)
    moment = particle.saturation * np.pi / 6 * particle.diameter**3
    susceptibility = moment * particle.saturation / particle.density / (3 * BOLTZMANN * particle.temperature)
    expected = -VACUUM_PERMEABILITY * susceptibility * LINE.amplitude[0] * np.pi / LINE.period
    first, third = system_function(LINE, particle, np.zeros((1, 1)), [1, 3])[0, :, 0]
    assert abs(first - expected) <= 1e-4 * abs(expected)
    assert abs(third) <= 1e-4 * abs(first)


def quadrature(scanner: FieldFreePoint, particle: Particle, position, harmonics) -> np.ndarray:
    """Fourier integrals of the voltage itself, its time derivative by the chain rule with L'."""
    moment = particle.saturation * np.pi / 6 * particle.diameter**3
    beta = moment / (BOLTZMANN * particle.temperature)
    t = (np.arange(20_000) + 0.3) / 20_000
    frequency = 2 * np.pi * np.asarray(scanner.cycles)[:, None]
    amplitude = np.asarray(scanner.amplitude)[:, None]
    offset = (np.asarray(scanner.gradient) * position)[:, None]
    xi = beta * (amplitude * np.sin(frequency * t) - offset)
    rate = beta * amplitude * frequency * np.cos(frequency * t) / scanner.period
    s = np.sqrt((xi**2).sum(axis=0))
    langevin, slope = 1 / np.tanh(s) - 1 / s, 1 / s**2 - 1 / np.sinh(s) ** 2
    along = (xi * rate).sum(axis=0) / s**2 * xi  # part of the rate along the field, which changes the length
    change = slope * along + langevin / s * (rate - along)
    voltage = -VACUUM_PERMEABILITY * scanner.sensitivity * particle.saturation / particle.density * change
    return voltage @ np.exp(-2j * np.pi * np.outer(harmonics, t)).T / len(t)


@pytest.mark.parametrize("diameter", [12e-9, 25e-9])
def test_lissajous_against_quadrature_of_the_voltage(diameter):
    particle, harmonics = Particle(diameter), [3, 4, 5, 9, 13]
    positions = np.array([[0.0011, -0.0023], [0.0047, 0.0051]])
    got = system_function(LISSAJOUS, particle, positions, harmonics)
    for index, position in enumerate(positions):
        expected = quadrature(LISSAJOUS, particle, position, harmonics)
        np.testing.assert_allclose(got[:, :, index], expected, rtol=0, atol=1e-9 * np.abs(expected).max())


def test_a_plane_with_one_drive_is_the_line():
    plane = FieldFreePoint((14e-3, 0.0), (2.0, 1.0), (1, 1))
    x = np.linspace(-0.006, 0.006, 7)
    both = system_function(plane, Particle(), np.stack([x, 0 * x], axis=1), HARMONICS)
    alone = system_function(LINE, Particle(), x[:, None], HARMONICS)
    np.testing.assert_allclose(both[0], alone[0], rtol=1e-9, atol=1e-12)
    assert np.abs(both[1]).max() <= 1e-12


def test_the_image_axes_are_x_to_the_right_and_y_up():
    shape, size = (3, 4), (0.009, 0.008)
    operator = MagneticParticleImaging(LISSAJOUS, Particle(), shape, size, harmonics=HARMONICS)
    image = np.zeros(shape)
    image[0, 3] = 2.0
    cell = 0.002 * 0.003
    expected = system_function(LISSAJOUS, Particle(), np.array([[0.003, 0.003]]), HARMONICS)[..., 0]
    np.testing.assert_allclose(operator(image), 2.0 * cell * 1e3 * expected, rtol=1e-12)
    assert operator.range.shape == (2, len(HARMONICS))


def test_the_default_field_of_view_is_where_the_point_goes():
    operator = MagneticParticleImaging(LINE, Particle(240e-9), (4,), harmonics=HARMONICS)
    z, cell = np.array([-0.75, -0.25, 0.25, 0.75]), 2 * LINE.reach[0] / 4
    expected = cell * 1e3 * ideal(LINE, operator.particle, z)
    np.testing.assert_allclose(operator.dense(), expected, atol=2e-2 * np.abs(expected).max())


def test_a_distribution_comes_back_from_exact_harmonics():
    """The Chebyshev polynomials span: with enough harmonics of rather large particles the line is seen sharply."""
    operator = MagneticParticleImaging(LINE, Particle(60e-9), (24,), harmonics=range(2, 60))
    truth = torch.zeros(24, dtype=torch.float64)
    truth[5:8], truth[15] = 1.0, 2.0
    x = operator.pinv(operator(truth))
    assert torch.linalg.vector_norm(x - truth) <= 0.05 * torch.linalg.vector_norm(truth)


def test_single_precision_is_enough():
    options = {"harmonics": HARMONICS}
    single = MagneticParticleImaging(LISSAJOUS, Particle(), (6, 7), dtype="float32", **options)
    double = MagneticParticleImaging(LISSAJOUS, Particle(), (6, 7), **options)
    assert single.matrix.dtype == torch.complex64
    assert abs(single.norm() - double.norm()) <= 1e-5 * double.norm()


def test_bad_input_is_refused():
    with pytest.raises(NotPositiveError, match="diameter: got -1e-09"):
        Particle(-1e-9)
    with pytest.raises(NotPositiveError, match="temperature"):
        Particle(temperature=float("nan"))
    with pytest.raises(ShapeError, match=r"got \(2, 1, 1\) numbers"):
        FieldFreePoint((1e-2, 1e-2), (1.0,), (1,))
    with pytest.raises(NotPositiveError, match="amplitude"):
        FieldFreePoint((0.0,))
    with pytest.raises(NotPositiveError, match="gradient: got 0"):
        FieldFreePoint(gradient=(0,))
    with pytest.raises(OptionError, match="no common divisor"):
        FieldFreePoint((1e-2, 1e-2), (1.0, 1.0), (4, 6))
    for harmonics in ([0, 1], [], [1.5], [[2, 3]]):
        with pytest.raises(OptionError, match="integers, at least 1"):
            system_function(LINE, Particle(), np.zeros((1, 1)), harmonics)
    with pytest.raises(ShapeError, match=r"expected \(N, 2\)"):
        system_function(LISSAJOUS, Particle(), np.zeros((3, 1)), [2])
    with pytest.raises(ShapeError, match="expected 2 positive numbers"):
        MagneticParticleImaging(LISSAJOUS, Particle(), (8,), harmonics=[2])
    with pytest.raises(NotPositiveError, match="size"):
        MagneticParticleImaging(LINE, Particle(), (8,), (-0.1,), harmonics=[2])
    with pytest.raises(OptionError, match="unknown dtype"):
        MagneticParticleImaging(LINE, Particle(), (8,), harmonics=[2], dtype="complex64")
