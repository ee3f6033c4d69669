"""Slow waves first: which frequencies a network fits when.

White noise has all frequencies alike. So a network that fits noise shows its own taste: how long each band of
frequencies takes to fall to half of what it was. For the two-layer generator and gradient descent the times follow
from the singular values of the Jacobian, log 2 / -log(1 - eta sigma^2). For deep decoders with Adam there is no
formula, but the order is the same: that is why stopping early denoises. With pixels as parameters, fitted the same way,
no band is far ahead of the others: the bias is in the up-sampling and the convolutions.

The first fall to half is what counts. Later Adam's steps, too long for the few slow waves, throw them up again.

    python demos/theory/spectral_bias.py [--out spectral_bias.png]
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from eitdip.networks import ConvolutionalDecoder, Decoder
from eitdip.parameterization import FreeField, draw_prior, draw_two_layer
from eitdip.plot.style import DARK, picture
from eitdip.theory.recovery import linear_iterates
from eitdip.theory.spectral_bias import band_amplitudes, band_masks, half_lives, residual_bands
from eitdip.theory.two_layer import circulant, expected_gram, gaussian, singular_values

BANDS, SIDE, STEPS = 5, 32, 350


def two_layer(n: int = 128, steps: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Residual per band for the two-layer generator: of the network, and of the linear theory."""
    kernel, masks = gaussian(n, 1.5), band_masks((n,), BANDS)
    U, step = circulant(kernel), 1 / singular_values(kernel).max() ** 2
    target = torch.randn(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target /= torch.linalg.vector_norm(target)  # the smaller it is, the less the network has to move, the more linear
    generator = draw_two_layer(matrix=U, width=1000)
    measured = residual_bands(generator, target, torch.optim.SGD(generator.parameters(), lr=step), steps, masks)
    predicted = linear_iterates(expected_gram(U), target, step, np.arange(steps + 1))
    left = [band_amplitudes(torch.from_numpy(signal) - target, masks) for signal in predicted]
    return measured, torch.stack(left).numpy()


def image(generator: torch.nn.Module, rate: float = 1e-3) -> np.ndarray:
    """Residual per band of an image of white noise, fitted by Adam."""
    noise = torch.randn(SIDE, SIDE, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    optimizer = torch.optim.Adam(generator.parameters(), rate)
    return residual_bands(generator, noise, optimizer, STEPS, band_masks((SIDE, SIDE), BANDS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("spectral_bias.png"))
    arguments = parser.parse_args()

    measured, predicted = two_layer()
    runs = {"two-layer generator": measured}
    for name, network in (("ConvolutionalDecoder", ConvolutionalDecoder(32)), ("Decoder", Decoder(16, 32))):
        runs[name] = image(draw_prior(network, (SIDE, SIDE)))
    runs["pixels"] = image(FreeField((SIDE, SIDE)), rate=1e-2)
    lives = {name: half_lives(run) for name, run in runs.items()}
    lives["two-layer, theory"] = half_lives(predicted)
    print("half-life of bands in steps, slow to fast")
    for name, found in lives.items():
        print(f"    {name:<22}", *(f"{life:7.1f}" for life in found))

    with picture(arguments.out, (13.5, 3.6)) as figure:
        panels = figure.subplots(1, 4)
        shades = [f"C{band}" for band in range(BANDS)]
        for axes, name in zip(panels, ("two-layer generator", "ConvolutionalDecoder", "Decoder"), strict=False):
            for band, colour in enumerate(shades):
                label = f"{band / BANDS / 2:.1f}–{(band + 1) / BANDS / 2:.1f}"
                left = runs[name][:, band] / runs[name][0, band]
                axes.semilogx(np.arange(1, len(left) + 1), left, color=colour, label=label)
                if name.startswith("two"):
                    theory = predicted[:, band] / predicted[0, band]
                    axes.semilogx(np.arange(1, len(theory) + 1), theory, "--", color=DARK, linewidth=0.9)
            axes.axhline(0.5, color=DARK, linewidth=0.5)
            axes.set(xlabel="step + 1", ylim=(0, 1.1), title=name)
        panels[0].set_ylabel("what is left of each band")
        panels[1].legend(title="cycles / pixel", fontsize=8, title_fontsize=8)
        for name, found in lives.items():
            look = {"color": DARK, "linestyle": "--"} if name.endswith("theory") else {"marker": "o"}
            panels[3].semilogy((np.arange(BANDS) + 0.5) / BANDS / 2, found, label=name, **look)
        panels[3].set(xlabel="cycles / pixel", ylabel="half-life in steps", title="Half-lives")
        panels[3].legend(fontsize=7)

    for name in ("two-layer generator", "ConvolutionalDecoder", "Decoder"):
        assert np.isfinite(lives[name]).all() and (np.diff(lives[name]) > 0).all(), f"{name}: slow waves first"
    off = np.abs(lives["two-layer generator"] / lives["two-layer, theory"] - 1).max()
    print(f"two-layer generator against theory: {100 * off:.0f} % at most")
    assert off < 0.1, "as fast as the theory says"
    assert lives["pixels"].max() < 1.3 * lives["pixels"].min(), "and pixels have hardly any taste"


if __name__ == "__main__":
    main()
