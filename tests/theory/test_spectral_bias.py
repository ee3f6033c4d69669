"""Bands of frequencies, half-lives, and who fits what first."""

import numpy as np
import pytest
import torch

from eitdip.errors import OptionError, ShapeError
from eitdip.networks import ConvolutionalDecoder, Decoder
from eitdip.parameterization import FreeField, draw_prior, draw_two_layer
from eitdip.theory.spectral_bias import band_amplitudes, band_masks, half_lives, residual_bands
from eitdip.theory.two_layer import circulant, gaussian, singular_values


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    sample = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return sample / torch.linalg.vector_norm(sample)


def test_bands_share_out_all_frequencies_of_a_signal():
    masks = band_masks((30,), 4)
    assert torch.equal(masks.sum(dim=0), torch.ones(30, dtype=torch.float64))
    signal = noise(30)
    assert band_amplitudes(signal, masks).square().sum() == pytest.approx(1.0)


@pytest.mark.parametrize(("frequency", "band"), [(0, 0), (3, 0), (5, 1), (8, 1), (11, 2), (16, 3)])
def test_a_wave_is_in_its_band(frequency, band):
    """32 points: bands end at 4, 8, 12 and 16 periods; in the plane |f| counts."""
    masks = band_masks((32,), 4)
    wave = torch.cos(2 * torch.pi * frequency * torch.arange(32, dtype=torch.float64) / 32)
    found = band_amplitudes(wave, masks)
    assert found[band] == pytest.approx(torch.linalg.vector_norm(wave).item())
    assert torch.count_nonzero(found > 1e-12) == 1
    plane = band_amplitudes(wave[:, None] * torch.ones(1, 32, dtype=torch.float64), band_masks((32, 32), 4))
    assert int(plane.argmax()) == band


def test_corners_of_the_plane_are_left_out():
    masks = band_masks((16, 16), 4)
    assert masks[:, 8, 8].sum() == 0 and masks[:, 8, 0].sum() == 1 and masks.sum(dim=0).max() == 1


def test_half_lives_of_exponentials():
    """Between steps by the logarithm: exact for exponentials; the first crossing counts; infinity if there is none."""
    steps = np.arange(50)[:, None]
    amplitudes = 3.0 * np.exp(-steps * np.array([0.1, 0.5, 0.001]))
    assert np.allclose(half_lives(amplitudes)[:2], np.log(2) / np.array([0.1, 0.5]))
    assert half_lives(amplitudes)[2] == np.inf
    again = np.array([[1.0], [0.25], [0.9], [0.1]])
    assert half_lives(again) == pytest.approx([0.5])
    assert np.isfinite(half_lives(np.array([[1.0], [0.0]]))).all()


def test_two_layer_generator_as_fast_as_its_singular_values():
    """Narrow bands around single frequencies: half-life log 2 / -log(1 - eta sigma^2)."""
    n, kernel = 64, gaussian(64, 1.5)
    sigma = singular_values(kernel)[1::2][:32]  # frequencies 1, 2, ..., 32
    step = 1 / singular_values(kernel).max() ** 2
    generator = draw_two_layer(matrix=circulant(kernel), width=2000)
    optimizer = torch.optim.SGD(generator.parameters(), lr=step)
    found = half_lives(residual_bands(generator, noise(n), optimizer, 90, band_masks((n,), 32)))
    expected = np.log(0.5) / np.log(1 - step * sigma**2)
    assert np.isfinite(found).all()
    late = slice(3, None)  # slower than a step: before that the logarithm between steps is no exponential
    assert np.abs(found[late] / expected[late] - 1).max() < 0.25
    assert np.abs(np.log(found[late] / expected[late])).mean() < 0.1
    coarse = found.reshape(4, 8).mean(axis=1)
    assert (np.diff(coarse) > 0).all() and coarse[-1] > 8 * coarse[0]


def test_without_upsampling_there_is_no_bias():
    n = 64
    generator = draw_two_layer(matrix=np.eye(n), width=2000)
    found = half_lives(
        residual_bands(generator, noise(n), torch.optim.SGD(generator.parameters(), lr=0.1), 40, band_masks((n,), 4))
    )
    assert found.max() < 1.1 * found.min()


@pytest.mark.parametrize(
    ("make", "side"),
    [(lambda: ConvolutionalDecoder(24), 32), (lambda: Decoder(8, 24, levels=2), 16)],
    ids=["conv", "decoder"],
)
def test_decoders_fit_slow_bands_first(make, side):
    target = side * noise(side, side, seed=3)
    generator = draw_prior(make(), (side, side), seed=1)
    optimizer = torch.optim.Adam(generator.parameters(), lr=2e-3)
    found = half_lives(residual_bands(generator, target, optimizer, 150, band_masks((side, side), 4)))
    assert np.isfinite(found).all() and (np.diff(found) > 0).all()
    assert found[-1] > 2 * found[0]


def test_pixels_have_no_bias():
    pixels = FreeField((32, 32))
    optimizer = torch.optim.SGD(pixels.parameters(), lr=0.1)
    found = half_lives(residual_bands(pixels, noise(32, 32), optimizer, 12, band_masks((32, 32), 4)))
    assert np.allclose(found, np.log(0.5) / np.log(0.9))


def test_bad_input():
    for count in (0, 40):
        with pytest.raises(OptionError, match=f"bands: got {count}"):
            band_masks((32,), count)
    with pytest.raises(ShapeError, match="as the masks"):
        band_amplitudes(torch.zeros(8), band_masks((9,), 2))
    with pytest.raises(ShapeError, match="expected"):
        half_lives(np.zeros((3, 2)))
