"""Spectra along a run."""

import numpy as np
import torch
from numpy.testing import assert_allclose

from eitdip.objective import Variational
from eitdip.objective.jacobian import field_jacobian
from eitdip.objective.misfit import misfit_of
from eitdip.parameterization import Affine, Parameterization
from eitdip.problems import simulate_images
from eitdip.reconstruction import Budget, reconstruct
from eitdip.spectrum import SpectrumAlong, drift


class Scaled(torch.nn.Module):
    """scale * image: its Jacobian has a left vector along the image and the unit vectors times the scale."""

    def __init__(self, side=4):
        super().__init__()
        self.shape = (side, side)
        self.scale = torch.nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
        self.register_buffer("image", torch.full((side, side), 0.5, dtype=torch.float64))

    def forward(self):
        return self.scale**2 * self.image


def test_the_spectrum_is_that_of_the_weights_at_these_steps(rng):
    problem = simulate_images.denoise(np.full((4, 4), 0.3), sigma=1.0)
    x = Parameterization(Scaled(), Affine(0.0, 1.0), unit=1.0)
    objective = Variational(problem.model, x, misfit_of(problem.data))
    scales = []
    along = SpectrumAlong(lambda: field_jacobian(x), steps=(2, 5), rank=1)
    watch = [along, lambda progress: scales.append(float(x.generator.scale.detach()))]
    reconstruct(objective, torch.optim.SGD(x.parameters(), lr=1e-2), Budget(7), callbacks=watch)
    assert list(along.spectra) == [0, 2, 5]
    # d field / d scale = 2 scale image, and the image has the norm 2.
    expected = {0: 2.0, 2: scales[1], 5: scales[4]}
    for done, spectrum in along.spectra.items():
        assert_allclose(spectrum.values, [4 * expected[done]], rtol=1e-12)
    change, angle = drift(along.spectra[0], along.spectra[5])
    assert_allclose(change, abs(scales[4] / 2 - 1), rtol=1e-9)
    assert change > 1e-3 and angle < 1e-6
