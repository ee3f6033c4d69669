"""The semi-inverse problem of Bar and Sochen: potentials known inside, a conductivity network to be found.

Their second phantom: heart (2) and lungs (5) in a background of 1, blurred as theirs by a Gaussian of 0.04
radii, so that the equation holds pointwise. The ellipses are this package's, for theirs are not published.
Their fourth current is minus the third, so three are used. Potentials come from finite elements; cubic fits to the
nodes around each point give the derivatives that div(sigma grad u) = 0 asks for. The loss and its weights are
theirs; the network is not: with Fourier features and an exponential, hundreds of steps do where they give their
plain tanh network, `eitdip.neural_pde.bar_sochen.paper_network`, up to 240,000.

    python demos/impedance/bar_sochen.py [--steps 1000] [--out bar_sochen.png]
"""

import argparse
from dataclasses import replace

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, map_coordinates

from eitdip.fem import NeumannModel
from eitdip.mesh import disk
from eitdip.networks.potentials import SmoothNetwork
from eitdip.neural_pde.bar_sochen import PRESETS
from eitdip.neural_pde.fields import Conductivity, drawn
from eitdip.neural_pde.semi_inverse import InteriorData, SemiInverse, recovered
from eitdip.parameterization import Exp
from eitdip.phantoms import Phantom, phantom
from eitdip.plot import conductivity
from eitdip.reconstruction import Budget, reconstruct


def blurred_phantom(pixels: int = 1000, blur: float = 20.0):
    """Their phantom 2 as a function of points (P, 2) of the unit disk."""
    ellipses = (replace(part, contrast=5.0 if part.contrast < 1 else 2.0) for part in phantom("heart-lungs").inclusions)
    axis = (np.arange(pixels) + 0.5) * 2 / pixels - 1
    image = Phantom("phantom 2", tuple(ellipses)).contrast(np.stack(np.meshgrid(axis, axis), axis=-1))
    image = gaussian_filter(image, blur)

    def sigma(points: np.ndarray) -> np.ndarray:
        x, y = ((points + 1) * pixels / 2 - 0.5).T
        return map_coordinates(image, [y, x], order=1, mode="nearest")

    return sigma


def potentials(domain, sigma: np.ndarray) -> np.ndarray:
    """At the nodes, of the currents 8 / sqrt(2 pi) cos n (t + phase) that are independent: shape (n, 3)."""
    x, y = domain.points[domain.boundary_nodes].T
    angle = np.arctan2(y, x)
    currents = [(1, 0.0), (1, np.pi / 2), (2, 0.0)]
    g = np.array([8 / np.sqrt(2 * np.pi) * np.cos(n * (angle + phase)) for n, phase in currents])
    model = NeumannModel(domain, g, sigma_element="vertices")
    model.system.update(sigma)
    load = model.discretization.boundary_mass @ g.T
    return model.system.solve(domain.boundary_nodes[1:], load[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--h", type=float, default=0.02, help="edge length of the mesh that makes the potentials")
    parser.add_argument("--out", default="bar_sochen.png")
    arguments = parser.parse_args()

    sigma = blurred_phantom()
    fine = disk(h=arguments.h, degree=2)
    u = potentials(fine, sigma(fine.points[fine.vertices]))
    rng = np.random.default_rng(0)
    radius, angle = np.sqrt(rng.uniform(0, 0.98**2, 20_000)), rng.uniform(0, 2 * np.pi, 20_000)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    rim = np.linspace(0, 2 * np.pi, 1200, endpoint=False)
    rim = np.stack([np.cos(rim), np.sin(rim)], axis=1)
    jets = recovered(fine.points, u, points, neighbours=25)
    data = InteriorData(*(torch.tensor(a, dtype=torch.float32) for a in (points, jets, rim, sigma(rim))))
    domain = disk(h=0.04)
    truth, areas = sigma(domain.centroids), domain.cell_sizes

    generator = torch.Generator().manual_seed(0)
    network = drawn(SmoothNetwork(1, (64, 64, 64), features=32, frequency=1.0), generator, torch.float32)
    cells = torch.tensor(domain.centroids, dtype=torch.float32)
    objective = SemiInverse(Conductivity(network, Exp(1.0)), data, cells, weights=PRESETS["paper"])
    optimizer = torch.optim.Adam(objective.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, arguments.steps)
    result = reconstruct(objective, optimizer, Budget(arguments.steps), schedule=schedule)
    error = np.sqrt((areas * (result.x - truth) ** 2).sum() / (areas * truth**2).sum())
    print(f"relative L2 error {error:.3f} after {result.iterations} steps (theirs: 0.141 on their phantom)")

    axis = (np.arange(256) + 0.5) / 128 - 1
    grid = np.stack(np.meshgrid(axis, -axis), axis=-1)
    image = np.where(np.hypot(*grid.T).T <= 1, sigma(grid.reshape(-1, 2)).reshape(256, 256), np.nan)
    title = f"Bar-Sochen, semi-inverse: relative L2 error {error:.3f}"
    with torch.no_grad():  # the network knows sigma everywhere, so also at the vertices
        found = objective.conductivity.values(torch.tensor(domain.points, dtype=torch.float32)).numpy()
    conductivity(arguments.out, domain, found.astype(float), truth=image, background=1.0, title=title)
    assert error < 0.1, "the conductivity was not found"


if __name__ == "__main__":
    main()
