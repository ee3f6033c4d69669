"""From measurements and options to a problem that the loop can solve.

This is where names on the command line become objects: one table of methods, one of links, one of
stopping rules. Everything here can be done by hand in a few lines; the demos show how.
"""

from dataclasses import asdict, dataclass, fields, replace

import numpy as np
import torch
from torch import nn

from eitdip import fem
from eitdip.calibration import Calibration, calibrate
from eitdip.data import Measurements
from eitdip.errors import InvalidDataError, OptionError, choose
from eitdip.mesh import Domain
from eitdip.misfit import LeastSquares
from eitdip.networks import Decoder, UNet
from eitdip.objective import Variational
from eitdip.operator import ForwardModel
from eitdip.parameterization import Bounded, DeepImagePrior, Exp, FreeField, Link, Parameterization, Softplus
from eitdip.penalty import MeshJumps, PixelDifferences, Tikhonov, TotalVariation
from eitdip.reconstruction import Budget, Discrepancy, FirstOf, HeldOut, StoppingRule, WindowedVariance
from eitdip.simulation import refuse_inverse_crime
from eitdip.timing import Timed


@dataclass(frozen=True)
class Options:
    """All settings of a reconstruction.

    Args:
        generator: "decoder", "unet", "pixels" or "cells".
        size: Pixels per side of the image.
        channels: Width of the network.
        seed: Of weights, latent tensor and held-out choice.
        seeds: Networks whose log conductivities are averaged (seed, seed + 1, ...).
        link: "bounded", "exp" or "softplus".
        low: Lowest conductivity over the background, for "bounded".
        high: Highest conductivity over the background, for "bounded".
        tv: Weight of total variation of log conductivity.
        tikhonov: Weight of squared differences of log conductivity.
        steps: Largest number of optimizer steps.
        learning_rate: Of Adam, falling to 5 % by a cosine; of L-BFGS, its step.
        optimizer: "adam" or "lbfgs".
        stop: "budget", "discrepancy", "held-out" or "variance".
        held_out: Share of measurements set aside; > 0 for "held-out".
        background: Conductivity of the homogeneous body, S/m; None fits it to the reference.
        calibrate: Fit current gains and voltage offsets to the reference.
        h: Edge length of the mesh over the radius, where the data bring no mesh.
        degree: Of geometry and potentials, 1 or 2.
        fit_drift: Let the background differ from that of the reference by a common factor.
        checkpoint_seconds: Time between checkpoints.
    """

    generator: str = "decoder"
    size: int = 64
    channels: int = 48
    seed: int = 0
    seeds: int = 1
    link: str = "bounded"
    low: float = 0.014
    high: float = 40.0
    tv: float = 0.5
    tikhonov: float = 0.0
    steps: int = 500
    learning_rate: float = 0.01
    optimizer: str = "adam"
    stop: str = "budget"
    held_out: float = 0.0
    background: float | None = None
    calibrate: bool = True
    h: float = 0.052
    degree: int = 1
    fit_drift: bool = True
    checkpoint_seconds: float = 20.0


METHODS = {
    "dip-tv": {},
    "dip": {"tv": 0.0, "stop": "held-out", "held_out": 0.05},
    "unet-tv": {"generator": "unet", "channels": 32},
    "pixels-tv": {"generator": "pixels", "learning_rate": 0.05},
    "cells-tv": {"generator": "cells", "learning_rate": 0.05},
    "cells-tikhonov": {
        "generator": "cells",
        "optimizer": "lbfgs",
        "learning_rate": 1.0,
        "tv": 0.0,
        "tikhonov": 0.1,
        "steps": 60,
    },
}


def options_for(method: str, settings: dict | None = None) -> Options:
    """The options of a method with some settings changed.

    Raises:
        OptionError: If the method or a setting is unknown, or a value has the wrong type.
    """
    options = Options(**choose("method", method, METHODS))
    kinds = {f.name: f.type for f in fields(Options)}
    changes = {}
    for name, value in (settings or {}).items():
        kind = choose("option", name, kinds)
        changes[name] = _converted(name, value, kind)
    return _checked(replace(options, **changes))


def _converted(name: str, value, kind):
    allowed = (int, float) if kind is float else (type(None), int, float) if kind == float | None else kind
    if (isinstance(value, bool) and kind is not bool) or not isinstance(value, allowed):
        expected = getattr(kind, "__name__", str(kind))
        raise OptionError(f"option {name}: got {value!r}, expected {expected}")
    return float(value) if kind is not int and isinstance(value, int) and not isinstance(value, bool) else value


def _checked(options: Options) -> Options:
    for name in ("size", "channels", "seeds", "steps"):
        if getattr(options, name) < 1:
            raise OptionError(f"option {name}: got {getattr(options, name)}, expected at least 1")
    for name in ("tv", "tikhonov", "checkpoint_seconds"):
        if not 0 <= getattr(options, name) < float("inf"):
            raise OptionError(f"option {name}: got {getattr(options, name)}, expected >= 0")
    for name in ("learning_rate", "h"):
        if not getattr(options, name) > 0:
            raise OptionError(f"option {name}: got {getattr(options, name)}, expected > 0")
    if not 0 <= options.held_out < 1:
        raise OptionError(f"option held_out: got {options.held_out}, expected 0 <= share < 1")
    if options.stop == "held-out" and options.held_out == 0:
        raise OptionError("option held_out: got 0, expected > 0 for the stopping rule 'held-out'")
    for name, table in (("generator", _GENERATORS), ("link", _LINKS), ("optimizer", _OPTIMIZERS), ("stop", _RULES)):
        choose(name, getattr(options, name), table)
    return options


@dataclass(frozen=True, eq=False)
class Problem:
    """A reconstruction ready to run, and what is needed to report on it.

    Args:
        domain: Mesh.
        model: Timed forward model.
        space: Its discretization.
        measurements: The data.
        calibration: What the reference told, or None.
        data: What F(sigma) is fitted to, shape (K, M).
        background: sigma0, S/m.
    """

    domain: Domain
    model: Timed
    space: fem.Discretization
    measurements: Measurements
    calibration: Calibration | None
    data: np.ndarray
    background: float


@dataclass(frozen=True, eq=False)
class Run:
    """The moving parts of one seed of a problem, as `reconstruct` takes them."""

    objective: Variational
    optimizer: torch.optim.Optimizer
    schedule: object
    stop: StoppingRule


def forward_model(measurements: Measurements, domain: Domain, sigma_element: str = "cells", comm=None) -> ForwardModel:
    """The electrical model that the measurements call for."""
    kwargs = {"sigma_element": sigma_element, "comm": comm}
    if measurements.model == "electrodes":
        return fem.CompleteElectrodeModel(
            domain, measurements.sources, measurements.contact_impedance, measurements.moments, **kwargs
        )
    basis = fem.trigonometric(domain, measurements.sources.shape[1] // 2)
    kind = fem.DirichletModel if measurements.model == "dirichlet" else fem.NeumannModel
    return kind(domain, measurements.sources @ basis, measurements.moments @ basis, **kwargs)


def prepare(measurements: Measurements, options: Options, comm=None) -> Problem:
    """Mesh, model, calibration and data.

    Raises:
        InvalidDataError: If data contradict the model.
        OptionError: If there is neither a reference nor a background.
    """
    geometry = measurements.geometry
    if isinstance(geometry, Domain):
        domain = geometry
    else:
        domain = geometry.mesh(options.h * geometry.radius, degree=options.degree)
    refuse_inverse_crime(measurements, domain)
    if comm is not None and comm.size > len(domain.cells):
        raise InvalidDataError(
            f"more ranks than cells: got {comm.size} for {len(domain.cells)} cells; use fewer ranks or a smaller h"
        )
    bare = forward_model(measurements, domain, comm=comm)
    model = Timed(bare)
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
    return Problem(domain, model, bare.discretization, measurements, calibration, data, float(background))


def start(problem: Problem, options: Options, seed: int) -> Run:
    """A fresh objective, optimizer, schedule and stopping rule for one seed."""
    generator, field_map, differences = _GENERATORS[options.generator](problem, options, seed)
    parameterization = Parameterization(
        generator, _LINKS[options.link](problem.background, options), field_map, fit_drift=options.fit_drift
    )
    penalties: dict[str, tuple[float, nn.Module]] = {}
    if options.tv:
        penalties["tv"] = (options.tv, TotalVariation(differences))
    if options.tikhonov:
        penalties["tikhonov"] = (options.tikhonov, Tikhonov(differences))
    held = _held_out(problem.measurements.mask, options)
    misfit = LeastSquares(problem.data, problem.measurements.deviation, problem.measurements.mask, held)
    objective = Variational(problem.model, parameterization, misfit, penalties)
    optimizer, schedule = _OPTIMIZERS[options.optimizer](objective.parameters(), options)
    return Run(objective, optimizer, schedule, _RULES[options.stop](options))


def settings(options: Options) -> dict:
    """The options as plain JSON values."""
    return asdict(options)


def _held_out(mask: np.ndarray, options: Options) -> np.ndarray | None:
    if not options.held_out:
        return None
    rng = np.random.default_rng(options.seed)
    return mask & (rng.random(mask.shape) < options.held_out)


def _image_prior(network: nn.Module, problem: Problem, options: Options, seed: int):
    shape = (options.size, options.size)
    return DeepImagePrior(network, shape, seed), fem.pixel_map(problem.space, shape), PixelDifferences()


def _decoder(problem: Problem, options: Options, seed: int):
    levels = max(1, round(np.log2(options.size / 8)))
    return _image_prior(Decoder(channels=options.channels, levels=levels), problem, options, seed)


def _unet(problem: Problem, options: Options, seed: int):
    return _image_prior(UNet(channels=options.channels), problem, options, seed)


def _pixels(problem: Problem, options: Options, seed: int):
    shape = (options.size, options.size)
    return FreeField(shape), fem.pixel_map(problem.space, shape), PixelDifferences()


def _cells(problem: Problem, options: Options, seed: int):
    return FreeField(problem.model.domain.shape), None, MeshJumps(*problem.domain.jumps)


_GENERATORS = {"decoder": _decoder, "unet": _unet, "pixels": _pixels, "cells": _cells}


def _bounded(background: float, options: Options) -> Link:
    return Bounded(background, options.low * background, options.high * background)


_LINKS = {
    "bounded": _bounded,
    "exp": lambda background, options: Exp(background),
    "softplus": lambda background, options: Softplus(background),
}


def _adam(parameters, options: Options):
    optimizer = torch.optim.Adam(parameters, lr=options.learning_rate)
    floor = 0.05 * options.learning_rate
    return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps, floor)


def _lbfgs(parameters, options: Options):
    return torch.optim.LBFGS(
        parameters, lr=options.learning_rate, max_iter=4, history_size=20, line_search_fn="strong_wolfe"
    ), None


_OPTIMIZERS = {"adam": _adam, "lbfgs": _lbfgs}

_RULES = {
    "budget": lambda options: Budget(options.steps),
    "discrepancy": lambda options: FirstOf(Discrepancy(), Budget(options.steps)),
    "held-out": lambda options: FirstOf(HeldOut(max(20, options.steps // 5)), Budget(options.steps)),
    "variance": lambda options: FirstOf(WindowedVariance(patience=max(50, options.steps // 5)), Budget(options.steps)),
}
