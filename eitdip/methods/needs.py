"""What a method needs of a problem, and which of its settings decide anything for it."""

from dataclasses import fields

import numpy as np

from eitdip.errors import OptionError
from eitdip.methods.names import CLASSICAL, FREE, LOOP, NETWORKS, SUBSPACES

_OF_OPTIMIZER = {
    "adam": {"learning_rate", "schedule", "average", "warm_up"},
    "lbfgs": {"learning_rate"},
    "natural-gradient": set(),
    "gauss-newton": set(),
    "linearized": set(),
    "pinv": set(),
    "cgls": {"steps", "tikhonov"},
    "primal-dual": {"steps", "tv", "link"},
    "em": {"steps"},
}
_OF_STOP = {
    "budget": set(),
    "discrepancy": set(),
    "held-out": {"patience"},
    "variance": {"patience", "window"},
    "sure": {"patience"},
}
_OF_UNCERTAINTY = {"laplace": {"prior_factor", "smooth"}, "cells": {"prior_factor", "smooth"}}
_SAMPLED = {"points", "equation", "channels"}
_OF_OBJECTIVE = {
    ("pinn", "balanced"): _SAMPLED | {"tv", "boundary"},
    ("deep-galerkin", "balanced"): _SAMPLED | {"tv", "boundary"},
    ("bar-sochen", "balanced"): _SAMPLED | {"boundary", "preset"},
    ("bar-sochen", "paper"): {"points", "preset"},
    ("deep-ritz", "balanced"): _SAMPLED | {"tv"},
    ("deep-ritz-naive", "balanced"): _SAMPLED | {"tv"},
}


def used(method, kind: str) -> set[str]:
    """Names of the settings that decide anything for a kind of problem.

    Args:
        method: An `eitdip.methods.options.Method`.
        kind: "plane", "solid" or "image".
    """
    body, always = kind != "image", {"objective", "optimizer", "seed", "seeds", "uncertainty"}
    if method.uncertainty is not None:
        always |= {"samples", "calibration"} | _OF_UNCERTAINTY.get(method.uncertainty, set())
    if method.optimizer in CLASSICAL:
        return always | _OF_OPTIMIZER[method.optimizer]
    names = always | {"link", "steps", "stop", "held_out"} | _OF_OPTIMIZER[method.optimizer]
    chosen = method.completed(kind)
    names |= _OF_STOP[chosen.stop] | ({"low", "high"} if body and chosen.link == "bounded" else set())
    if method.objective != "variational":
        return names | _OF_OBJECTIVE.get((method.objective, method.preset), _OF_OBJECTIVE[method.objective, "balanced"])
    names |= {"generator", "misfit", "tv", "l1", "tikhonov"} | ({"fit_drift"} if body else set())
    generator = chosen.generator
    if generator == "educated":
        return (
            names
            | {"weights", "tuned", "proximity", "input_noise"}
            | ({"rank"} if method.tuned in ("low-rank", *SUBSPACES) else set())
        )
    names |= {"size"} if body and generator not in ("cells", "vertices") else set()
    names |= {"channels"} if generator not in FREE else set()
    return names | ({"levels", "input_noise"} if generator in NETWORKS else set())


def check(method, problem) -> None:
    """Make sure, before any work, that a method can solve a problem.

    Args:
        method: An `eitdip.methods.options.Method`.
        problem: An `eitdip.problems.problem.Problem`.

    Raises:
        OptionError: If it needs what the problem does not have, or a setting is given that decides nothing here.
    """
    kind, given = problem.unknown.kind, used(method, problem.unknown.kind)
    for known in fields(method):
        value = getattr(method, known.name)
        if value != known.default and known.name not in given:
            raise OptionError(
                f"option {known.name}: got {value} for {problem.name}, but the method uses only "
                f"{', '.join(sorted(given))}; leave it out"
            )
    chosen = method.completed(kind)

    def refuse(name: str, expected: str):
        raise OptionError(f"option {name}: got {getattr(chosen, name)!r} for {problem.name}, expected {expected}")

    if chosen.objective != "variational":
        _check_networks_as_potentials(chosen, problem, refuse)
    elif chosen.optimizer in CLASSICAL:
        _check_classical(chosen, problem, refuse)
    else:
        _check_variational(chosen, problem, refuse)
    _check_link(chosen, problem, refuse)
    if chosen.optimizer in LOOP:
        _check_stop(chosen, problem, refuse)
    if chosen.uncertainty is not None:
        _check_uncertainty(chosen, problem, refuse)


def _check_networks_as_potentials(method, problem, refuse) -> None:
    measured = problem.measurements
    if measured is None or measured.model != "dirichlet" or problem.unknown.dimension != 2:
        refuse("objective", "Dirichlet data of a disk; use variational, such as dip-tv")
    if method.optimizer not in ("adam", "lbfgs"):
        refuse("optimizer", "adam or lbfgs for networks as potentials")


def _check_classical(method, problem, refuse) -> None:
    counts, direct = problem.data.noise.name == "poisson", method.optimizer == "pinv"
    if problem.unknown.kind != "image" or not (problem.model.linear or direct or method.optimizer == "em"):
        refuse("optimizer", f"one of {', '.join(LOOP)}: there is no such solver for a nonlinear model")
    if not direct and not counts and problem.data.noise.error is not None:
        refuse("optimizer", "adam or lbfgs: with a model's error the noise is correlated")
    if counts != (method.optimizer == "em") and not direct:
        refuse("optimizer", "em for counts, whose noise grows with them, and for counts alone")


def _check_variational(method, problem, refuse) -> None:
    image, gauss_newton = problem.unknown.kind == "image", method.optimizer in ("gauss-newton", "linearized")
    if image and gauss_newton:
        refuse("optimizer", "adam or lbfgs for images")
    if image and method.generator in ("cells", "vertices"):
        refuse("generator", "one on pixels for images: a mesh is needed")
    if gauss_newton and method.generator not in FREE:
        refuse("generator", f"one of {', '.join(FREE)} for {method.optimizer}")
    if method.optimizer == "natural-gradient":
        if method.generator != "educated" or method.tuned not in SUBSPACES or problem.data.noise.name != "gaussian":
            refuse("optimizer", f"adam or lbfgs but for tuned={' or '.join(SUBSPACES)} and Gaussian noise")
        if method.input_noise:
            refuse("input_noise", "0 for natural-gradient, which compares values of the objective")
    if method.generator == "educated":
        if not image and problem.measurements.model == "neumann":
            refuse("generator", "data of electrodes or boundary potentials for pretrained networks; choose another one")
        if not method.weights:
            refuse("weights", "the file of a pretrained network: --set weights=FILE; `eitdip train` makes one")
        if method.link != (trained := "bounded" if image else "exp"):
            refuse("link", f"{trained}, which the network was trained with")
    if problem.unknown.channels > 1 and method.generator not in (*NETWORKS, "pixels", "educated"):
        refuse("generator", f"a convolutional one or pixels for an image of {problem.unknown.channels} channels")
    if method.misfit != "likelihood":
        if method.misfit not in problem.misfits or method.held_out:
            refuse("misfit", "likelihood; this one needs Dirichlet data, complete, with held_out=0")
        if gauss_newton:
            refuse("misfit", f"likelihood for {method.optimizer}")


def _check_link(method, problem, refuse) -> None:
    unknown, counts = problem.unknown, problem.data.noise.name == "poisson"
    if method.link == "free" and (unknown.unit is None or counts):
        refuse("link", "bounded, exp or softplus: values are positive")
    if method.link in ("exp", "softplus") and unknown.kind == "image" and not (counts or unknown.low == 0):
        refuse("link", "bounded or free: values may be negative")


def _check_stop(method, problem, refuse) -> None:
    if method.stop == "held-out" and not method.held_out:
        refuse("held_out", "> 0 for the stopping rule 'held-out'")
    if method.stop == "discrepancy" and not problem.data.noise.known:
        refuse("stop", "held-out: the noise level is unknown")
    plain = method.objective == "variational" and method.optimizer == "adam" and method.stop != "sure"
    if method.average and not plain:
        refuse("average", "0 but for adam, without the rule sure")
    if method.stop == "sure":
        _check_sure(problem, refuse)


def _check_uncertainty(method, problem, refuse) -> None:
    fields = method.objective == "variational" and method.optimizer in LOOP
    name, plain = method.uncertainty, method.misfit == "likelihood" and method.stop != "sure"
    if not fields:
        refuse("uncertainty", "none: there is no field of weights, as of dip-tv, or of cells, as of gn-tv")
    if name == "ensemble" and method.seeds < 2:
        refuse("seeds", "at least 2 for uncertainty=ensemble; 5 or more say something")
    if name != "ensemble" and method.seeds > 1:
        refuse("seeds", f"1 for uncertainty={name}, which is around one estimate")
    if name in ("laplace", "dropout", "langevin") and method.generator in FREE:
        refuse("uncertainty", f"cells or ensemble for a field of {method.generator}, which has no network")
    if name in ("laplace", "langevin", "dropout", "cells") and not plain:
        refuse("uncertainty", "ensemble for this misfit or stopping rule")


def _check_sure(problem, refuse) -> None:
    """Stein's estimate is for y = x + noise of known deviation."""
    noise = problem.data.noise
    if noise.name != "gaussian" or not noise.known or noise.error is not None:
        refuse("stop", "Gaussian noise of known deviation, without a model's error, for 'sure'")
    space = problem.model.domain
    x = space.random(np.random.default_rng(0))
    if space.shape != problem.model.range.shape or not np.allclose(problem.model(x), x, rtol=1e-5):
        refuse("stop", "a model that is the identity for 'sure', such as denoise")
