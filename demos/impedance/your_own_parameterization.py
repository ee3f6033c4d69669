"""Plug in a conductivity of your own: a torch module with a `shape`, and nothing else.

A generator gives a raw field, 0 being the background. The link makes a conductivity of it, and the
model, misfit and loop do not care where it came from. Here we know that there is one round object with a soft
edge, so four numbers are enough: its center, its radius and its log contrast.

    python demos/impedance/your_own_parameterization.py
"""

import numpy as np
import torch
from torch import nn

from eitdip.fem import CompleteElectrodeModel
from eitdip.fem.patterns import adjacent
from eitdip.mesh import disk
from eitdip.objective import Variational
from eitdip.objective.misfit import LeastSquares
from eitdip.parameterization import Exp, Parameterization
from eitdip.reconstruction import Budget, reconstruct


class OneObject(nn.Module):
    """A disk with a soft edge, on the cells of a mesh."""

    def __init__(self, centroids: np.ndarray):
        super().__init__()
        self.shape = (len(centroids),)
        self.register_buffer("points", torch.tensor(centroids))
        self.center = nn.Parameter(torch.tensor([0.1, 0.0], dtype=torch.float64))
        self.radius = nn.Parameter(torch.tensor(0.4, dtype=torch.float64))
        self.contrast = nn.Parameter(torch.tensor(0.0, dtype=torch.float64))

    def forward(self) -> torch.Tensor:
        distance = (self.points - self.center).norm(dim=1)
        return self.contrast * torch.sigmoid(15 * (self.radius - distance))


def main() -> None:
    electrodes = {"electrodes": 16, "width": 0.2}

    # A disk of radius 0.3 and conductivity 3 at (0.4, 0.2), and the empty tank, on a finer mesh, with 1 % noise.
    fine = disk(h=0.04, degree=2, **electrodes)
    inside = np.linalg.norm(fine.centroids - [0.4, 0.2], axis=1) < 0.3
    simulate = CompleteElectrodeModel(fine, adjacent(16), 0.1)
    clean, empty = simulate(np.where(inside, 3.0, 1.0)), simulate(np.ones(len(inside)))
    deviation = 0.01 * np.abs(clean).mean()
    noisy = clean + deviation * np.random.default_rng(0).standard_normal(clean.shape)

    # Only the change from the empty tank is fitted: most of the coarser mesh's error is in both and drops out.
    domain = disk(h=0.07, **electrodes)
    model = CompleteElectrodeModel(domain, adjacent(16), 0.1)
    data = noisy - empty + model(np.ones(len(domain.cells)))

    # The generator is the only thing that is ours.
    generator = OneObject(domain.centroids)
    sigma = Parameterization(generator, Exp(1.0))
    objective = Variational(model, sigma, LeastSquares(data, deviation))
    result = reconstruct(objective, torch.optim.Adam(sigma.parameters(), lr=0.03), Budget(150))

    center, contrast = generator.center.detach().numpy(), float(generator.contrast.detach().exp())
    print(f"center {center.round(3)} (true 0.4, 0.2)   contrast {contrast:.2f} (true 3)   chi^2/N {result.chi2:.2f}")
    assert np.linalg.norm(center - [0.4, 0.2]) < 0.06
    assert contrast > 1.8
    assert result.history["chi2"][-1] < 0.1 * result.history["chi2"][0]


if __name__ == "__main__":
    main()
