"""The deep prior that can be solved by hand: a soft truncated SVD, or Ivanov's method.

The network gives the x that minimizes |B x - y|^2 + alpha |x|^2. Its weights B are trained, from B = A on, to make
A x(B) = y. Along one singular vector of A, with singular value sigma, the output b y / (b^2 + alpha) can be no longer
than y / (2 sqrt(alpha)). So training ends at

    x = y / sigma  if sigma >= 2 sqrt(alpha),    x = y / (2 sqrt(alpha)) with b = sqrt(alpha)  else.

Large singular values are inverted with no bias at all, where Tikhonov with the same alpha, the untrained network,
loses alpha / (sigma^2 + alpha): 20 % at the threshold. Nothing is amplified more than at the threshold.

If all of y is fitted by one full matrix B, training goes on to something else: the best fit in the ball
|x| <= |y| / (2 sqrt(alpha)) (Arndt 2022). The singular vectors of A are not special then, and x is Tikhonov's solution
with a smaller alpha.

    python demos/theory/analytic_prior.py [--steps 4000] [--out analytic_prior.png]
"""

import argparse
from pathlib import Path

import numpy as np

from eitdip.plot.style import BLUE, DARK, GREY, RED, picture
from eitdip.theory.analytic_dip import (
    AnalyticPrior,
    analytic_filter,
    ivanov,
    landweber_filter,
    tikhonov_filter,
    train,
    truncated_filter,
)

ALPHA, SIZE = 0.01, 16
THRESHOLD = 2 * ALPHA**0.5


def problem(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """U, sigma, V and A = U diag(sigma) V^T with singular values on both sides of the threshold."""
    U, V = (np.linalg.qr(rng.standard_normal((SIZE, SIZE)))[0] for _ in range(2))
    sigma = np.geomspace(1, 0.02, SIZE)
    return U, sigma, V, (U * sigma) @ V.T


def towards_ivanov(A, y, goal, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Distance of the output to Ivanov's solution while one matrix is trained on all of y."""
    prior, counts = AnalyticPrior(A, y, ALPHA), np.unique(np.geomspace(1, steps, 25).astype(int))
    distances, done = [], 0
    for count in counts:
        x = train(prior, count - done).numpy()
        distances.append(np.linalg.norm(x - goal) / np.linalg.norm(goal))
        done = count
    return counts, np.array(distances)


def draw(path: Path, sigma, trained, weights, counts, distances, soft) -> None:
    fine = np.geomspace(0.02, 1, 400)
    filters = {
        "trained prior, formula": (analytic_filter, BLUE, "-"),
        "Tikhonov = untrained": (tikhonov_filter, RED, "-"),
        "Landweber, σ₁² / α steps": (landweber_filter, GREY, "--"),
        "truncated SVD": (truncated_filter, DARK, ":"),
    }
    with picture(path, (12, 3.6)) as figure:
        left, middle, right = figure.subplots(1, 3)
        for name, (of, colour, line) in filters.items():
            left.loglog(fine, np.maximum(of(fine, ALPHA), 1e-9), line, color=colour, label=name)
        left.loglog(sigma, trained, "o", color=BLUE, markersize=4, label="trained prior")
        left.axvline(THRESHOLD, color=GREY, linewidth=0.7)
        left.set(xlabel="singular value σ", ylabel="filter x / y", ylim=(0.5, 20), title="Soft truncation at 2√α")
        left.legend(fontsize=7, loc="upper right")
        middle.loglog(sigma, weights, "o", color=BLUE, markersize=4, label="b after training")
        middle.loglog(sigma, sigma, "--", color=GREY, label="b before: σ")
        middle.axhline(ALPHA**0.5, color=DARK, linewidth=0.7, label="√α")
        middle.axvline(THRESHOLD, color=GREY, linewidth=0.7)
        middle.set(xlabel="singular value σ", ylabel="weight b", title="What training changes")
        middle.legend(fontsize=8)
        right.loglog(counts, distances, ".-", color=BLUE, label="one matrix, all of y")
        right.axhline(soft, color=RED, linewidth=0.9, label="soft truncated SVD")
        right.legend(fontsize=8, loc="lower left")
        right.set(
            xlabel="steps of training", ylabel="distance to Ivanov's solution", title="Trained on all of y: Ivanov"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=4000, help="of training with all of y")
    parser.add_argument("--out", type=Path, default=Path("analytic_prior.png"))
    arguments = parser.parse_args()

    rng = np.random.default_rng(0)
    U, sigma, V, A = problem(rng)
    prior = AnalyticPrior(A, U.T, ALPHA)  # datum k is the singular vector u_k
    outputs = train(prior, 400).numpy() @ V
    trained, elsewhere = np.diag(outputs), np.abs(outputs - np.diag(np.diag(outputs))).max()
    weights = np.diagonal(np.einsum("mi,kmn,nj->kij", U, prior.weights.detach().numpy(), V), axis1=1, axis2=2)
    off = np.abs(trained / analytic_filter(sigma, ALPHA) - 1).max()
    print("    sigma   trained   formula   Tikhonov   Landweber")
    for row in zip(
        sigma, trained, *(of(sigma, ALPHA) for of in (analytic_filter, tikhonov_filter, landweber_filter)), strict=True
    ):
        print("{:9.3f} {:9.4f} {:9.4f} {:10.4f} {:11.4f}".format(*row))
    print(f"trained against formula: {off:.1e}; along other singular vectors: {elsewhere:.1e}")

    y = U @ (sigma * rng.standard_normal(SIZE))
    y += np.linalg.norm(y) / SIZE**0.5 * rng.standard_normal(SIZE)  # as much noise as data: they leave the ball
    radius = np.linalg.norm(y) / THRESHOLD
    goal = ivanov(A, y, radius)
    assert np.linalg.norm(np.linalg.solve(A, y)) > 2 * radius, "the ball matters"
    soft = np.linalg.norm(V @ (analytic_filter(sigma, ALPHA) * (U.T @ y)) - goal) / np.linalg.norm(goal)
    counts, distances = towards_ivanov(A, y, goal, arguments.steps)
    print(
        f"one matrix for all of y: from Ivanov's solution {distances[0]:.3f} at first, {distances[-1]:.1e} at the end;"
    )
    print(f"    the soft truncated SVD of the same y: {soft:.3f}")
    draw(arguments.out, sigma, trained, np.diag(weights), counts, distances, soft)

    assert off < 1e-6 and elsewhere < 1e-8, "training ends at the soft truncated SVD"
    lost = 1 - THRESHOLD * tikhonov_filter(THRESHOLD, ALPHA)
    assert abs(lost - 0.2) < 1e-12 and abs(1 - THRESHOLD * analytic_filter(THRESHOLD, ALPHA)) < 1e-12
    assert distances[-1] < 1e-3 < soft, "and a full matrix goes on to Ivanov's solution"


if __name__ == "__main__":
    main()
