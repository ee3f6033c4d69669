"""How good is a Gaussian? Laplace's approximation against a chain that samples the posterior itself.

Two discs in a tank with 16 electrodes: places and contrasts, six numbers with a prior. The posterior density of numbers
so few can be sampled, each sample a solution of the finite-element model: pCN of CUQIpy, or NUTS with gradients by the
adjoint, does that until its chains agree (R-hat <= 1.01). Laplace's approximation needs the most likely numbers and one
derivative there. It linearizes the model, which the chain does not; so what differs between the two is the error of
linearizing.

With 1 % noise there is next to none, with 20 % there is. Where the radii are sought too (--radii) there is much, at any
noise: a small disc of large contrast and a larger one of less are nearly the same to electrodes outside. No network is
in it; whether a network's prior says too little is another question, which needs a truth.

    pip install 'eitdip[uq]'
    python demos/impedance/laplace_against_a_chain.py [--count 2000] [--sampler nuts] [--radii] [--out chain.png]
"""

import argparse
import time
from pathlib import Path

import numpy as np

from eitdip.data.data import Data
from eitdip.data.noise import Gaussian
from eitdip.fem import CompleteElectrodeModel, pixel_map
from eitdip.fem.matrices import MARGIN
from eitdip.mesh import Tank
from eitdip.parameterization import Exp, Parameterization
from eitdip.parameterization.low_dimensional import Discs
from eitdip.plot.style import BLUE, DARK, RED, picture
from eitdip.problems.simulate_bodies import ring_patterns
from eitdip.uncertainty.chains import Chains
from eitdip.uncertainty.cuqi import sample
from eitdip.uncertainty.residuals import Residuals, Summit

NAMES = [f"{what} {disc}" for disc in (1, 2) for what in ("x", "y", "log radius", "log contrast")]
TRUTH = np.array([[0.4, 0.3, np.log(0.25), np.log(3.0)], [-0.35, -0.25, np.log(0.3), np.log(0.3)]])
# What is known before: about where they are, and that one conducts better than water, the other worse.
MEAN = np.array([[0.3, 0.3, np.log(0.3), np.log(2.0)], [-0.3, -0.3, np.log(0.3), np.log(0.5)]])
DEVIATION = np.array([[0.2, 0.2, 0.3, 0.5]] * 2)


def prior(radii: bool) -> tuple[np.ndarray, np.ndarray]:
    """Means and deviations of the numbers; radii that are not sought are known."""
    known = np.zeros((2, 4)) if radii else np.array([[0, 0, 1, 0]] * 2)
    return np.where(known, TRUTH, MEAN), np.where(known, 0.0, DEVIATION)


def problem(noise: float, radii: bool = False, seed: int = 0) -> Residuals:
    """Voltages of the true numbers with noise, on the mesh that is fitted to them: what is judged is a Gaussian."""
    domain = Tank(1.0, 16, 0.2).mesh(0.07)
    currents = ring_patterns(1, 16)
    model = CompleteElectrodeModel(domain, currents, np.full(16, 0.01), currents)
    # The image's window reaches a little beyond the tank, and discs are in its unit.
    scale, shift = np.array([MARGIN, MARGIN, 1, 1]), np.array([0, 0, np.log(MARGIN), 0])
    mean, deviation = prior(radii)
    field_map = pixel_map(model.discretization, (96, 96))

    def field(mean, deviation) -> Parameterization:
        discs = Discs(field_map.domain.shape, mean / scale - shift, deviation / scale, width=0.06)
        return Parameterization(discs, Exp(1.0), field_map)

    clean = model(field(TRUTH, DEVIATION)().detach().numpy())
    size = noise * np.sqrt(np.square(clean).mean())
    rng = np.random.default_rng(seed)
    data = Data(clean + size * rng.standard_normal(clean.shape), Gaussian(np.full(clean.shape, size)))
    return Residuals(field(mean, deviation), model, data)


def compare(noise: float, count: int, radii: bool = False, sampler: str = "pcn") -> tuple[Summit, Chains, dict]:
    """Laplace's approximation, two chains, and figures of both."""
    residuals = problem(noise, radii)
    begun = time.perf_counter()
    summit = residuals.summit(np.zeros(residuals.size))
    reached = time.perf_counter()
    found = sample(residuals, sampler, count=count, warmup=max(count // 5, 100), chains=2, around=summit, scale=0.7)
    inside = np.abs(found.pooled - summit.mean) <= 1.959964 * summit.deviation
    return summit, found, {
        "noise": noise,
        "chi2": float(np.sum(residuals(summit.mean) ** 2) / residuals.model.range.size),
        "R-hat": float(found.rhat().max()),
        "effective samples": float(found.effective().min()),
        "error of the chain's deviations": float(found.deviation_error().max()),
        "ratios of deviations": (summit.deviation / found.deviation).tolist(),
        "shifts of means": ((found.mean - summit.mean) / found.deviation).tolist(),
        "chain in the 95 % intervals": inside.mean(axis=0).tolist(),
        "evaluations": found.evaluations,
        "seconds of Laplace": reached - begun,
        "seconds of the chain": time.perf_counter() - reached,
    }  # fmt: skip


def show(path: Path, results: dict[float, tuple[Summit, Chains, dict]], radii: bool) -> None:
    """Marginals of all numbers: histograms of the chain, Gaussians of Laplace, the truth."""
    means, deviations = prior(radii)
    sought = np.flatnonzero(deviations)
    with picture(path, (2.2 * len(sought), 2.4 * len(results))) as figure:
        axes = figure.subplots(len(results), len(sought), squeeze=False)
        for row, (noise, (summit, chains, _)) in zip(axes, results.items(), strict=True):
            for i, (ax, number) in enumerate(zip(row, sought, strict=True)):
                mean, deviation = means.flat[number], deviations.flat[number]
                ax.hist(mean + deviation * chains.pooled[:, i], 40, density=True, color=BLUE, alpha=0.35, label="chain")
                middle, width = mean + deviation * summit.mean[i], deviation * summit.deviation[i]
                x = np.linspace(middle - 4 * width, middle + 4 * width, 200)
                density = np.exp(-0.5 * ((x - middle) / width) ** 2) / (width * np.sqrt(2 * np.pi))
                ax.plot(x, density, color=DARK, label="Laplace")
                ax.axvline(TRUTH.flat[number], color=RED, linestyle="--", label="truth")
                ax.set(title=f"{NAMES[number]}, noise {noise:.0%}", yticks=[])
        axes[0, 0].legend(fontsize=8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="samples of each of two chains")
    parser.add_argument("--sampler", default="pcn", choices=["pcn", "nuts", "mala"])
    parser.add_argument("--radii", action="store_true", help="seek the radii too")
    parser.add_argument("--out", type=Path, default=Path("laplace_against_a_chain.png"))
    arguments = parser.parse_args()
    results = {noise: compare(noise, arguments.count, arguments.radii, arguments.sampler) for noise in (0.01, 0.2)}
    for noise, (_, _, figures) in results.items():
        ratios, shifts = figures["ratios of deviations"], np.abs(figures["shifts of means"])
        print(
            f"noise {noise:.0%}: deviations of Laplace over those of the chain {min(ratios):.3f} .. {max(ratios):.3f}, "
            f"means apart by at most {max(shifts):.3f} deviations; R-hat {figures['R-hat']:.4f}, "
            f"{figures['effective samples']:.0f} effective samples, error of its deviations "
            f"{figures["error of the chain's deviations"]:.1%}; {figures['seconds of Laplace']:.1f} s against "
            f"{figures['seconds of the chain']:.0f} s"
        )
    show(arguments.out, results, arguments.radii)
    figures = results[0.01][2]
    own = 3 * figures["error of the chain's deviations"]
    assert figures["R-hat"] <= 1.01
    if arguments.radii:
        return
    assert np.abs(np.array(figures["ratios of deviations"]) - 1).max() < 0.05 + own
    assert np.abs(figures["shifts of means"]).max() < 0.1 + 3 / np.sqrt(figures["effective samples"])


if __name__ == "__main__":
    main()
