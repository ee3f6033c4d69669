"""Finite elements: function spaces, linear algebra and the three electrical models. Never torch."""

import contextlib

# The pip wheel of DOLFINx must be loaded through this module first; other builds do not have it.
with contextlib.suppress(ModuleNotFoundError):
    import dolfinx_solver  # noqa: F401

from eitdip.errors import require

for _module in ("dolfinx", "petsc4py"):
    require(_module, "fem")

from eitdip.fem.continuum import DirichletModel, NeumannModel  # noqa: E402
from eitdip.fem.electrode import CompleteElectrodeModel  # noqa: E402
from eitdip.fem.harmonics import spherical_harmonics  # noqa: E402
from eitdip.fem.kohn_vogelius import KohnVogelius, dual_functions, noise_gaps  # noqa: E402
from eitdip.fem.matrices import pixel_map  # noqa: E402
from eitdip.fem.patterns import trigonometric  # noqa: E402
from eitdip.fem.spaces import Discretization  # noqa: E402

__all__ = [
    "CompleteElectrodeModel",
    "DirichletModel",
    "Discretization",
    "KohnVogelius",
    "NeumannModel",
    "dual_functions",
    "noise_gaps",
    "pixel_map",
    "spherical_harmonics",
    "trigonometric",
]
