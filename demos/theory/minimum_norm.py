"""What gradient descent finds with more parameters than pixels, and why that is enough for few measurements.

A generator G(c) = J c with as many parameters as one likes fits every signal, and all data y = A x in infinitely many
ways. It is gradient descent that chooses: from c = 0 it never leaves the range of (A J)^T and converges to the
solution of least norm, x = J (A J)^+ y. From another start it keeps what A J cannot see, and ends somewhere else.

The J here is the Jacobian of a two-layer network (eitdip.theory.two_layer). Its singular values sigma_i fall fast,
and its singular vectors w_i are slow waves first: of all signals that fit, the chosen one is smooth. Heckel and
Soltanolkotabi (2020) prove for m >= 12 random measurements, with high probability,

    |x_hat - x|^2 <= C / m (sum over i > 2 m / 3 of sigma_i^2) (sum over i of <w_i, x>^2 / sigma_i^2)

The theorem leaves C open. 100 random signals, more and less smooth, and measurements for each m say: C = 1 is enough
for signals that do not know A. For the worst signal of each A it is not: up to 9 or so is needed.

    python demos/theory/minimum_norm.py [--trials 100] [--out minimum_norm.png]
"""

import argparse
from pathlib import Path

import numpy as np

from eitdip.plot.style import BLUE, DARK, GREY, RED, picture
from eitdip.theory.linear_generator import (
    gradient_descent,
    landweber,
    minimum_norm,
    recovery_bound,
    steps_until,
    worst_ratio,
)
from eitdip.theory.two_layer import circulant, jacobian, singular_values, triangle, trigonometric

MEASUREMENTS = (12, 32, 64, 128, 256)


def smooth(rng: np.random.Generator, n: int, scale: float) -> np.ndarray:
    """Coefficients <w_i, x> of a random signal: about `scale` of them matter."""
    return rng.standard_normal(n) * np.exp(-np.arange(n) / scale)


def descend(rng: np.random.Generator, n: int = 128, channels: int = 16, m: int = 24) -> dict[str, np.ndarray]:
    """Gradient descent from zero and from a random start, against the pseudo-inverse."""
    U = circulant(triangle(n, 12))
    weights = np.tile([1.0, -1.0], channels // 2) / channels**0.5
    J = jacobian(U, rng.standard_normal((n, channels)), weights)
    A = rng.standard_normal((m, n))
    x = trigonometric(n) @ smooth(rng, n, 4)
    y, start = A @ x, rng.standard_normal(n * channels)
    exact, needed = minimum_norm(A, J, y), steps_until(A, J, 1e-10)
    print(f"A J: {m} x {J.shape[1]}; the rate promises 1e-10 after {needed} steps")
    counts = np.unique(np.linspace(0, needed, 10).astype(int))
    distances = [
        [np.linalg.norm(gradient_descent(A, J, y, t, c) - exact) / np.linalg.norm(exact) for t in counts]
        for c in (None, start)
    ]
    found = gradient_descent(A, J, y, needed)
    assert np.abs(found - landweber(A, J, y, needed)).max() < 1e-10, "the closed form of the iteration"
    assert distances[1][-1] > 0.1, "from another start it ends somewhere else"
    return {"counts": counts, "distances": distances, "exact": exact, "found": found, "x": x}


def recover(trials: int, n: int = 512) -> tuple[dict[int, np.ndarray], dict[int, float]]:
    """Squared error over its bound, per number of measurements; and the largest for the worst signals."""
    kernel = triangle(n, 16)
    order = np.argsort(-singular_values(kernel), kind="stable")
    sigma, W = singular_values(kernel)[order], trigonometric(n)[:, order]
    ratios, worst = {}, {}
    print("  m    mean   largest   share <= 1   worst signal")
    for m in MEASUREMENTS:
        rng, found, needed = np.random.default_rng(m), [], []
        for trial in range(trials):
            A, coefficients = rng.standard_normal((m, n)), smooth(rng, n, (5, 20, 80)[trial % 3])
            x = W @ coefficients
            error = minimum_norm(A, W * sigma, A @ x) - x
            found.append(error @ error / recovery_bound(sigma, coefficients, m))
            if trial < 5:
                needed.append(worst_ratio(A, sigma, W))
        ratios[m], worst[m] = np.array(found), max(needed)
        share = np.mean(ratios[m] <= 1)
        print(f"{m:4} {ratios[m].mean():6.2f} {ratios[m].max():8.2f} {share:10.2f} {worst[m]:12.1f}")
    return ratios, worst


def draw(path: Path, descent: dict, ratios: dict, worst: dict) -> None:
    with picture(path, (12, 3.6)) as figure:
        left, middle, right = figure.subplots(1, 3)
        for distances, colour, label in zip(descent["distances"], (BLUE, RED), ("c = 0", "random c"), strict=True):
            left.semilogy(descent["counts"], distances, ".-", color=colour, label=f"from {label}")
        left.set(
            xlabel="steps of gradient descent", ylabel="distance to J (AJ)⁺ y", title="Zero is the start that counts"
        )
        left.legend()
        middle.plot(descent["x"], color=GREY, linewidth=4, alpha=0.5, label="signal x")
        middle.plot(descent["exact"], color=DARK, label="J (AJ)⁺ y")
        middle.plot(descent["found"], "--", color=BLUE, label="gradient descent")
        middle.set(xlabel="point", title="24 measurements of 128 points")
        middle.legend(fontsize=8)
        for i, m in enumerate(ratios):
            spread = np.linspace(-0.25, 0.25, len(ratios[m]))
            label = "random signals" if i == 0 else None
            right.plot(i + spread, ratios[m], ".", color=BLUE, markersize=3, label=label)
        right.plot(
            range(len(worst)), list(worst.values()), "_", color=RED, markersize=18, label="worst signal for its A"
        )
        right.axhline(1, color=DARK, linewidth=0.8)
        right.set(yscale="log", ylim=(0.003, 60), xlabel="measurements m")
        right.set(ylabel="squared error / bound", title="The bound, with C = 1")
        right.set_xticks(range(len(ratios)), [str(m) for m in ratios])
        right.legend(fontsize=8, loc="upper left")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100, help="per number of measurements")
    parser.add_argument("--out", type=Path, default=Path("minimum_norm.png"))
    arguments = parser.parse_args()

    descent = descend(np.random.default_rng(0))
    gap = np.abs(descent["found"] - descent["exact"]).max()
    print(f"gradient descent against the pseudo-inverse: {gap:.1e}")
    ratios, worst = recover(arguments.trials)
    draw(arguments.out, descent, ratios, worst)

    assert gap <= 1e-8, "gradient descent from zero finds the minimum-norm solution"
    assert min(np.mean(found <= 1) for found in ratios.values()) >= 0.95, "the bound holds with C = 1 ..."
    assert max(worst.values()) > 1, "... unless the signal is made for A"


if __name__ == "__main__":
    main()
