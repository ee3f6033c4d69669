"""Why untrained networks like smooth signals: the Jacobian of ReLU(U C) v, by a formula and by drawing it.

A wide network follows its Jacobian J, and J J^T decides what it learns first. For the two-layer generator with k
channels and the circular convolution U with a kernel u, J J^T tends to a circulant matrix as k grows. So the singular
vectors are sines and cosines whatever the kernel is, and the singular values are

    sigma = |u| sqrt(|F g(u conv u / |u|^2)|),      g(t) = t (1 - arccos(t) / pi) / 2

Their order is what matters: the smoother u, the faster they fall, and the more smooth signals are preferred. The
distance to the limit falls with 1 / sqrt(k), which is the slope that this script measures. Sines and cosines of one
frequency have the same singular value: so their span is compared, never single vectors.

    python demos/theory/two_layer_jacobian.py [--seeds 6] [--out two_layer_jacobian.png]
"""

import argparse
from pathlib import Path

import numpy as np

from eitdip.plot.style import BLUE, DARK, GREY, RED, log_axis, picture
from eitdip.theory.two_layer import (
    circulant,
    expected_gram,
    gaussian,
    gram,
    singular_values,
    smallest_cosine,
    triangle,
    trigonometric,
)

CHANNELS, MODES = (500, 5000, 50000), 11
KERNELS = {"triangle": (triangle, 16), "Gaussian": (gaussian, 8)}


def measure(kernel: np.ndarray, seeds: int) -> dict:
    """Errors against the limit for each number of channels, root of the mean square over seeds."""
    U, limit = circulant(kernel), expected_gram(circulant(kernel))
    order = np.argsort(-singular_values(kernel), kind="stable")
    sigma, waves = singular_values(kernel)[order], trigonometric(len(kernel))[:, order[:MODES]]
    assert np.allclose(np.linalg.eigvalsh(limit)[::-1], sigma**2, atol=1e-12 * sigma[0] ** 2), "the formula"
    found = {"sigma": sigma, "waves": waves, "values": {}, "vectors": {}, "errors": [], "cosines": []}
    for channels in CHANNELS:
        errors, cosines = [], []
        for seed in range(seeds):
            values, vectors = np.linalg.eigh(gram(U, channels, np.random.default_rng(seed)))
            values, vectors = np.sqrt(np.maximum(values[::-1], 0)), vectors[:, ::-1]
            errors.append(np.abs(values - sigma).max() / sigma[0])
            cosines.append(smallest_cosine(vectors[:, :MODES], waves))
        found["errors"].append(np.sqrt(np.mean(np.square(errors))))
        found["cosines"].append(np.median(cosines))
        found["values"][channels], found["vectors"][channels] = values, vectors
    found["slope"] = np.polyfit(np.log(CHANNELS), np.log(found["errors"]), 1)[0]
    return found


def draw(path: Path, results: dict[str, dict]) -> None:
    with picture(path, (12, 3.6)) as figure:
        left, middle, right = figure.subplots(1, 3)
        for (name, found), colour in zip(results.items(), (BLUE, RED), strict=True):
            left.semilogy(found["sigma"], color=colour, linewidth=4, alpha=0.3, label=f"formula, {name}")
            for channels, line in zip(CHANNELS, (":", "--", "-"), strict=True):
                label = f"k = {channels}" if colour == BLUE else None
                left.semilogy(found["values"][channels], line, color=colour, linewidth=0.9, label=label)
            label = f"{name}: slope {found['slope']:.2f}"
            right.loglog(CHANNELS, found["errors"], "o-", color=colour, label=label)
        left.set(xlabel="number", ylabel="singular value of J", title="Singular values")
        left.legend(fontsize=8)
        found = results["triangle"]
        for shift, number in enumerate((0, 1, 4, 9)):
            vector = found["vectors"][CHANNELS[-1]][:, number]
            wave = found["waves"] @ (found["waves"].T @ vector)
            middle.plot(0.25 * shift + wave, color=GREY, linewidth=4, alpha=0.5)
            middle.plot(0.25 * shift + vector, color=DARK, linewidth=0.9)
        middle.set(xlabel="point", yticks=[], title="Singular vectors 1, 2, 5, 10 and their waves")
        right.loglog(CHANNELS, found["errors"][0] * (np.array(CHANNELS) / CHANNELS[0]) ** -0.5, ":", color=DARK)
        right.set(xlabel="channels k", ylabel="largest error / σ₁", title="The limit is reached with 1 / √k (···)")
        log_axis(right.yaxis, *right.get_ylim())
        right.legend()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("two_layer_jacobian.png"))
    arguments = parser.parse_args()

    results = {name: measure(kernel(256, width), arguments.seeds) for name, (kernel, width) in KERNELS.items()}
    print(f"kernel          k   largest error / sigma_1   smallest cosine to the first {MODES} waves")
    for name, found in results.items():
        for i, channels in enumerate(CHANNELS):
            print(f"{name:<10} {channels:6} {found['errors'][i]:25.1e} {found['cosines'][i]:15.3f}")
        print(f"{'':10} slope {found['slope']:.2f}")
    draw(arguments.out, results)

    for found in results.values():
        assert abs(found["slope"] + 0.5) <= 0.15, "the error falls with 1 / sqrt(k)"
        assert found["cosines"][-1] > 0.99, "and the singular vectors are sines and cosines"


if __name__ == "__main__":
    main()
