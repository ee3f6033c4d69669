"""Finite elements: function spaces, linear algebra and the three electrical models. Never torch."""

import contextlib
import signal
import threading

_broken_pipe = signal.getsignal(signal.SIGPIPE)

# The pip wheel of DOLFINx must be loaded through this module first; other builds do not have it.
with contextlib.suppress(ModuleNotFoundError):
    import dolfinx_solver  # noqa: F401

from eitdip.errors import require

for _module in ("dolfinx", "petsc4py"):
    require(_module, "fem")

from eitdip.fem.continuum import DirichletModel, NeumannModel
from eitdip.fem.electrode import CompleteElectrodeModel
from eitdip.fem.harmonics import spherical_harmonics
from eitdip.fem.kohn_vogelius import KohnVogelius, dual_functions, noise_gaps
from eitdip.fem.matrices import pixel_map
from eitdip.fem.patterns import trigonometric
from eitdip.fem.spaces import Discretization

# PETSc's own answer to a broken pipe, as in `eitdip info | head`, is to abort.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGPIPE, _broken_pipe)

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
