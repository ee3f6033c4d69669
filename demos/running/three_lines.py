"""Three lines for a tank and the same three for a sinogram: load, solve, save.

What a file holds, `load` finds out; the problem is its model, its data with their noise, and what is sought. `solve`
answers it by a named method, here a deep image prior with total variation, for which a tank is no more special than a
picture. Both are simulated with noise, so the truth is known.

    python demos/running/three_lines.py [--out results/three_lines]
"""

import argparse
from pathlib import Path

from matplotlib.figure import Figure

import eitdip
from eitdip.data import save
from eitdip.mesh import Tank
from eitdip.phantoms import phantom
from eitdip.problems.simulate_bodies import simulate_electrodes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/three_lines"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    save(out / "tank.h5", simulate_electrodes(phantom("three"), Tank(0.14, electrodes=16, width=0.0275), h=0.05))
    figure = Figure((9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)

    problem = eitdip.load(out / "tank.h5", h=0.1)
    tank = eitdip.solve(problem, "dip-tv", steps=150, channels=16, size=32)
    tank.save(out / "tank")

    problem = eitdip.load("skimage:camera", task="ct", views=30, size=48)
    image = eitdip.solve(problem, "dip-tv", steps=150, channels=16, average=0.9)
    image.save(out / "sinogram")

    for solution, axes in ((tank, left), (image, right)):
        name, error = solution.problem.name, solution.errors["relative L2"]
        solution.plot(axes).set_title(f"{name}: relative L2 error {error:.2f}")
        print(f"{name:<11} relative L2 error {error:.3f}, chi^2/N {solution.misfit:.2f}")
    figure.savefig(out / "both.png")
    assert tank.errors["relative L2"] < 0.3, "nothing but water scores 0.41"
    assert image.errors["relative L2"] < 0.15, "filtered back-projection scores 0.22"


if __name__ == "__main__":
    main()
