"""From measurements and options to a problem that the loop can solve.

This is where names on the command line become objects: a table each of misfits, optimizers and stopping rules,
with those of `generators` and `neural_pde`. Everything here can be done by hand in a few lines; the demos show how.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn

from eitdip import fem, neural_pde
from eitdip.calibration import Calibration, calibrate
from eitdip.data import Measurements
from eitdip.errors import InvalidDataError, OptionError
from eitdip.fem.harmonics import spherical_harmonics
from eitdip.generators import GENERATORS, LINKS
from eitdip.mesh import Domain
from eitdip.misfit import EnergyGaps, LeastSquares
from eitdip.objective import Objective, Variational
from eitdip.operator import ForwardModel
from eitdip.options import METHODS, Options, options_for, settings
from eitdip.parallel import from_root, together, world
from eitdip.parameterization import Parameterization
from eitdip.penalty import Tikhonov, TotalVariation, Values
from eitdip.reconstruction import (
    Budget,
    Discrepancy,
    FirstOf,
    GaussNewton,
    HeldOut,
    StoppingRule,
    TimeBudget,
    WindowedVariance,
)
from eitdip.simulation import refuse_inverse_crime
from eitdip.timing import Stopwatch
from eitdip.truth import Truth

__all__ = [
    "METHODS",
    "Options",
    "Problem",
    "Run",
    "device_of",
    "forward_model",
    "options_for",
    "prepare",
    "settings",
    "start",
]


@dataclass(frozen=True, eq=False)
class Problem:
    """A reconstruction ready to run, and what is needed to report on it.

    Args:
        domain: Mesh.
        model: Forward model.
        space: Its discretization.
        measurements: The data.
        calibration: What the reference told, or None.
        data: What F(sigma) is fitted to, shape (K, M).
        background: sigma0, S/m.
        state: The model's own state from which each seed starts, so that none depends on another.
    """

    domain: Domain
    model: ForwardModel
    space: fem.Discretization
    measurements: Measurements
    calibration: Calibration | None
    data: np.ndarray
    background: float
    state: dict

    @cached_property
    def truth(self) -> Truth | None:
        """The truth on the cells, if it is known. No method sees it; it is for those who judge."""
        image = self.measurements.truth
        return None if image is None else Truth(image, self.domain)


@dataclass(frozen=True, eq=False)
class Run:
    """The moving parts of one seed of a problem, as `reconstruct` takes them."""

    objective: Objective
    optimizer: torch.optim.Optimizer
    schedule: object
    stop: StoppingRule


def prepare(measurements: Measurements, options: Options, comm=None) -> Problem:
    """Mesh, model, calibration and data.

    Args:
        measurements: The data.
        options: Of them, those of mesh, solver and calibration matter here.
        comm: MPI communicator that shares the finite elements, by default all ranks.

    Raises:
        InvalidDataError: If data contradict the model.
        OptionError: If there is neither a reference nor a background.
    """
    comm = world() if comm is None else comm
    if options.objective != "variational":
        neural_pde.check(measurements, options)
    if options.misfit == "kohn-vogelius":
        _check_kohn_vogelius(measurements, options)
    with together(comm):
        domain = _mesh(measurements, options, comm.size)
    model = forward_model(measurements, domain, comm=comm, solver=options.solver, mesh_ranks=options.mesh_ranks)
    calibration, data = None, measurements.values
    background = options.background
    if measurements.reference is not None:
        voltages = measurements.model != "dirichlet"
        # The reference has all entries that were measured on the empty body, also beyond the mask.
        seen = np.isfinite(measurements.reference)
        instrument = options.calibrate and measurements.model == "electrodes"
        calibration = calibrate(model, measurements.reference, seen, instrument=instrument, voltages=voltages)
        background = calibration.background if background is None else background
        data = calibration.difference_data(measurements.values, measurements.reference)
    if background is None:
        raise OptionError("option background: the data bring no reference measurement, so set it (S/m)")
    if calibration is None:
        model(np.full(model.domain.shape, float(background)))  # seeds start from the background's solver state
    return Problem(
        domain, model, model.discretization, measurements, calibration, data, float(background), model.state()
    )


def start(problem: Problem, options: Options, seed: int, stopwatch: Stopwatch | None = None) -> Run:
    """A fresh objective, optimizer, schedule and stopping rule for one seed; all ranks of the model take part.

    Args:
        problem: From `prepare`.
        options: The same options.
        seed: Of weights and latent tensor.
        stopwatch: Counts where the time of the objective goes.
    """
    options = options.completed(problem.domain.dimension)
    problem.model.restore(problem.state)
    make = _variational if options.objective == "variational" else _collocation
    objective = make(problem, options, seed, stopwatch).to(device_of(options))
    optimizer, schedule = _OPTIMIZERS[options.optimizer](objective, options)
    stop = _RULES[options.stop](options)
    return Run(objective, optimizer, schedule, FirstOf(stop, TimeBudget(options.seconds)) if options.seconds else stop)


def _variational(problem: Problem, options: Options, seed: int, stopwatch: Stopwatch | None) -> Variational:
    generator, field_map, differences = GENERATORS[options.generator](problem.space, options, seed)
    parameterization = Parameterization(
        generator, LINKS[options.link](problem.background, options), field_map, fit_drift=options.fit_drift
    )
    penalties: dict[str, tuple[float, nn.Module]] = {}
    if options.tv:
        penalties["tv"] = (options.tv, TotalVariation(differences))
    if options.l1:
        penalties["l1"] = (options.l1, TotalVariation(_values(problem, options)))
    if options.tikhonov:
        penalties["tikhonov"] = (options.tikhonov, Tikhonov(differences))
    model, misfit = _MISFITS[options.misfit](problem, options)
    return Variational(model, parameterization, misfit, penalties, stopwatch)


def _collocation(problem: Problem, options: Options, seed: int, stopwatch: Stopwatch | None) -> Objective:
    """Potentials as networks know no mesh, so the data are fitted as measured, not their difference to the model's."""
    measured = problem.measurements
    misfit = LeastSquares(measured.values, measured.deviation, measured.mask, _held_out(measured.mask, options))
    link = LINKS[options.link](problem.background, options)
    return neural_pde.collocation(measured, problem.domain, link, misfit, options, seed, stopwatch)


def device_of(options: Options) -> torch.device:
    """Where this rank's network runs: neighbouring ranks take different GPUs, where there are several."""
    if options.device == "cpu":
        return torch.device("cpu")
    return torch.device("cuda", world().rank % torch.cuda.device_count())


def forward_model(
    measurements: Measurements, domain: Domain, sigma_element: str = "cells", comm=None, **choices
) -> ForwardModel:
    """The electrical model that the measurements call for.

    Args:
        measurements: The data.
        domain: The mesh.
        sigma_element: "cells" or "vertices".
        comm: MPI communicator, by default all ranks.
        choices: `solver` and `mesh_ranks` of the model.
    """
    kwargs = {"sigma_element": sigma_element, "comm": comm} | choices
    if measurements.model == "electrodes":
        return fem.CompleteElectrodeModel(
            domain, measurements.sources, measurements.contact_impedance, measurements.moments, **kwargs
        )
    basis = _boundary_functions(domain, measurements.sources.shape[1])
    kind = fem.DirichletModel if measurements.model == "dirichlet" else fem.NeumannModel
    return kind(domain, measurements.sources @ basis, measurements.moments @ basis, **kwargs)


def _boundary_functions(domain: Domain, count: int) -> np.ndarray:
    """Trigonometric functions or spherical harmonics without the constant, shape (count, nB)."""
    if domain.dimension == 2:
        return fem.trigonometric(domain, count // 2)
    return spherical_harmonics(domain, round(np.sqrt(count + 1)) - 1)  # count = order (order + 2)


def _mesh(measurements: Measurements, options: Options, ranks: int) -> Domain:
    geometry = measurements.geometry
    if isinstance(geometry, Domain):
        domain = geometry
    else:
        options = options.completed(geometry.dimension)
        domain = geometry.mesh(options.h * geometry.radius, degree=options.degree)
    refuse_inverse_crime(measurements, domain)
    if ranks > len(domain.cells):
        raise InvalidDataError(
            f"more ranks than cells: got {ranks} for {len(domain.cells)} cells; use fewer ranks or a smaller h"
        )
    return domain


def _least_squares(problem: Problem, options: Options):
    measured = problem.measurements
    held = _held_out(measured.mask, options)
    return problem.model, LeastSquares(problem.data, measured.deviation, measured.mask, held)


def _kohn_vogelius(problem: Problem, options: Options):
    measured, domain, comm = problem.measurements, problem.domain, problem.model.layout.everyone
    waves = _boundary_functions(domain, measured.sources.shape[1])
    dual = fem.dual_functions(problem.space, measured.moments @ waves)
    choices = {"comm": comm, "solver": options.solver, "mesh_ranks": options.mesh_ranks}
    model = fem.KohnVogelius(domain, measured.sources @ waves, problem.data @ dual, **choices)
    empty = np.full(model.domain.shape, problem.background)
    return model, EnergyGaps(fem.noise_gaps(domain, dual, measured.deviation, empty, **choices))


def _check_kohn_vogelius(measured: Measurements, options: Options) -> None:
    if measured.model != "dirichlet" or not measured.mask.all() or options.held_out:
        raise OptionError(
            f"option misfit: got 'kohn-vogelius' for data of the model {measured.model!r} with "
            f"{int((~measured.mask).sum())} missing entries and held_out={options.held_out:g}; "
            "expected 'dirichlet', 0 and 0; use 'least-squares'"
        )


_MISFITS = {"least-squares": _least_squares, "kohn-vogelius": _kohn_vogelius}


def _values(problem: Problem, options: Options) -> Values:
    return Values(problem.domain.cell_sizes) if options.generator == "cells" else Values()


def _held_out(mask: np.ndarray, options: Options) -> np.ndarray | None:
    if not options.held_out:
        return None
    rng = np.random.default_rng(options.seed)
    return mask & (rng.random(mask.shape) < options.held_out)


def _adam(objective: Variational, options: Options):
    optimizer = torch.optim.Adam(objective.parameters(), lr=options.learning_rate)
    floor = 0.05 * options.learning_rate
    return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps, floor)


def _lbfgs(objective: Variational, options: Options):
    return torch.optim.LBFGS(
        objective.parameters(), lr=options.learning_rate, max_iter=4, history_size=20, line_search_fn="strong_wolfe"
    ), None


def _gauss_newton(objective: Variational, options: Options):
    target = 0.98 if options.stop == "discrepancy" else None  # a little further than where the rule stops
    return GaussNewton(objective, target=target, agree=_of_root(objective)), None


def _linearized(objective: Variational, options: Options):
    return GaussNewton(objective, damping=0.0, continuation=float("inf"), agree=_of_root(objective)), None


def _of_root(objective: Variational):
    """Gives all ranks of the model what rank 0 has."""
    return lambda value: from_root(value, objective.model.layout.everyone)


_OPTIMIZERS = {"adam": _adam, "lbfgs": _lbfgs, "gauss-newton": _gauss_newton, "linearized": _linearized}

_RULES = {
    "budget": lambda options: Budget(options.steps),
    "discrepancy": lambda options: FirstOf(Discrepancy(), Budget(options.steps)),
    "held-out": lambda options: FirstOf(HeldOut(max(20, options.steps // 5)), Budget(options.steps)),
    "variance": lambda options: FirstOf(WindowedVariance(patience=max(50, options.steps // 5)), Budget(options.steps)),
}
