"""Stop early to denoise, never stop to recover from few measurements: one network, two theorems.

The two-layer generator ReLU(U C) v can fit any signal, noise too. Trained by gradient descent from random coefficients
it follows a linear iteration that can be written down, and from that:

* Denoising y = x + z: what is along a slow wave arrives soon, the rest late. There is a moment when the signal is there
  and of the noise only what looks like signal: about p / n of its energy, for a signal in the span of p waves. Later
  the network fits the noise.
* Compressed sensing y = A x with few random measurements: all the waves are mixed in the data, and gradient descent
  ends at the solution of least norm, which is smooth. The error falls to the end.

The network is nonlinear; the dashed lines are the linear theory, which knows only U.

    python demos/theory/recovery.py [--width 1000] [--out recovery.png]
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from eitdip.parameterization import draw_two_layer
from eitdip.plot.style import BLUE, DARK, GREY, RED, log_axis, picture
from eitdip.theory.recovery import denoising_bound, iterates, linear_iterates
from eitdip.theory.two_layer import circulant, expected_gram, singular_values, triangle, trigonometric

N, WAVES, MEASUREMENTS = 128, 11, 40


def descend(width: int, data: np.ndarray, step: float, steps: int, operator=None) -> np.ndarray:
    """All iterates of gradient descent with the network, shape (steps + 1, N)."""
    generator = draw_two_layer(matrix=circulant(triangle(N, 12)), width=width)
    optimizer = torch.optim.SGD(generator.parameters(), lr=step)
    rows = None if operator is None else torch.from_numpy(operator)
    apply = None if rows is None else (lambda x: rows @ x)
    signals = iterates(generator, torch.from_numpy(data), optimizer, steps, apply)
    return torch.stack(list(signals)).numpy()


def errors(signals: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.linalg.norm(signals - x, axis=-1) / np.linalg.norm(x)


def draw(path: Path, x, noisy, curves, best) -> None:
    with picture(path, (12, 3.6)) as figure:
        left, middle, right = figure.subplots(1, 3)
        left.plot(noisy, ".", color=GREY, markersize=4, label="data x + z")
        left.plot(x, color=DARK, linewidth=4, alpha=0.3, label="signal x")
        left.plot(best[0], color=BLUE, label=f"after {best[1]} steps")
        left.set(xlabel="point", title="Denoising")
        left.legend(fontsize=8)
        for axes, title in ((middle, "Denoising: stop early"), (right, f"{MEASUREMENTS} measurements of {N}: go on")):
            network, linear, bound = curves[title]
            steps = np.arange(1, len(network))
            axes.loglog(steps, network[1:], color=BLUE, label="network")
            axes.loglog(steps, linear[1:], "--", color=DARK, label="linear theory")
            if bound is not None:
                axes.loglog(steps, bound[1:], ":", color=RED, label="bound")
            axes.set(xlabel="steps of gradient descent", ylabel="relative error", title=title)
            log_axis(axes.yaxis, *axes.get_ylim())
            axes.legend(fontsize=8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=1000, help="channels of the network")
    parser.add_argument("--out", type=Path, default=Path("recovery.png"))
    arguments = parser.parse_args()

    rng, kernel = np.random.default_rng(1), triangle(N, 12)
    gram, eigenvalues, W = expected_gram(circulant(kernel)), singular_values(kernel) ** 2, trigonometric(N)
    coefficients = np.zeros(N)
    coefficients[:WAVES] = rng.standard_normal(WAVES)
    coefficients /= np.linalg.norm(coefficients)
    z = 0.5 / N**0.5 * rng.standard_normal(N)
    x, curves = W @ coefficients, {}

    step, counts = 1 / eigenvalues.max(), np.arange(401)
    signals = descend(arguments.width, x + z, step, counts[-1])
    denoising, at = errors(signals, x), int(errors(signals, x).argmin())
    predicted = linear_iterates(gram, x + z, step, counts)
    bound = denoising_bound(eigenvalues, coefficients, W.T @ z, step, counts)
    curves["Denoising: stop early"] = denoising, errors(predicted, x), bound
    share = np.linalg.norm(z) * (WAVES / N) ** 0.5
    gap = np.linalg.norm(signals - predicted, axis=-1).max()
    print(f"denoising: noise {np.linalg.norm(z):.3f}, least error {denoising[at]:.3f} after {at} steps,")
    print(f"    sqrt(p / n) of the noise {share:.3f}, at the end {denoising[-1]:.3f}; network - theory {gap:.3f}")

    A = rng.standard_normal((MEASUREMENTS, N)) / MEASUREMENTS**0.5
    step, counts = 1 / np.linalg.norm(A @ gram @ A.T, 2), np.arange(1001)
    sensed = errors(descend(arguments.width, A @ x, step, counts[-1], A), x)
    limit = errors(linear_iterates(gram, A @ x, step, [np.inf], A), x)[0]
    curves[f"{MEASUREMENTS} measurements of {N}: go on"] = (
        sensed, errors(linear_iterates(gram, A @ x, step, counts, A), x), None
    )  # fmt: skip
    print(
        f"{MEASUREMENTS} measurements: least error {sensed.min():.3f}, at the end {sensed[-1]:.3f}, theory {limit:.3f}"
    )
    draw(arguments.out, x, x + z, curves, (signals[at], at))

    assert denoising[at] < 1.3 * share, "stopped in time, little more noise is left than in the signal's own waves ..."
    assert denoising[-1] > 2 * denoising[at], "... but the network fits noise in the end"
    assert (errors(predicted, x) <= bound + 1e-12).all(), "the bound"
    assert sensed[-1] < 1.02 * sensed.min() < 0.15, "few measurements: the last iterate is as good as the best"


if __name__ == "__main__":
    main()
