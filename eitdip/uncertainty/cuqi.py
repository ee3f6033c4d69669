"""A problem as CUQIpy takes it, and its samplers: the referees of approximate posteriors.

References:
    Riis et al. (2024), CUQIpy: I. Computational uncertainty quantification for inverse problems in Python.
    Hoffman, Gelman (2014): NUTS; Cotter et al. (2013): pCN; Roberts, Tweedie (1996): MALA; Bardsley et al. (2014): RTO;
    Uribe et al. (2022): UGLA.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator

import numpy as np

from eitdip.errors import OptionError, choose, require
from eitdip.uncertainty.chains import Chains
from eitdip.uncertainty.residuals import Residuals, Summit

SAMPLERS = {"nuts": "NUTS", "mala": "MALA", "pcn": "PCN", "linear-rto": "LinearRTO", "ugla": "UGLA"}
_LINEAR = ("linear-rto", "ugla")


def sample(
    residuals: Residuals,
    sampler: str = "nuts",
    *,
    count: int = 1000,
    warmup: int = 300,
    chains: int = 2,
    around: Summit | None = None,
    scale: float = 0.1,
    seed: int = 0,
) -> Chains:
    """Chains of weights by a sampler of CUQIpy.

    Args:
        residuals: What is sampled: weights that are standard normal before the data.
        sampler: "nuts", "mala", "pcn"; for affine residuals "linear-rto"; for those in the pixels of a square image
            "ugla", whose prior is not normal but a Laplace distribution of differences between neighbours.
        count: Samples of each chain that are kept.
        warmup: Samples before, in which step sizes are tuned.
        chains: Number of chains, each from its own place near the summit.
        around: A Gaussian in whose own units the weights are sampled. That changes no distribution, but the shape that
            the sampler sees, and with it how many samples it takes.
        scale: Of the first steps of MALA and pCN, and of the differences of UGLA.
        seed: Of all draws.

    Returns:
        The chains, of weights.

    Raises:
        MissingPackageError: If CUQIpy is not installed.
        OptionError: If the sampler is unknown, a number out of range, or the residuals are not affine.
    """
    name = choose("sampler", sampler, SAMPLERS)
    if count < 4 or warmup < 1 or chains < 1 or not scale > 0:
        raise OptionError(
            f"count, warmup, chains, scale: got {count}, {warmup}, {chains} and {scale}, expected at least 4, 1, 1, > 0"
        )
    if sampler in _LINEAR and around is not None:
        raise OptionError(f"around: got a Gaussian for {sampler!r}, which needs none, expected None")
    cuqi, before, kept = _cuqi(), residuals.evaluations, residuals.present()
    size = residuals.size
    centre = np.zeros(size) if around is None else around.mean
    root = np.eye(size) if around is None else np.linalg.cholesky(around.covariance)
    options = {"mala": {"scale": scale}, "pcn": {"scale": scale}, "nuts": {"opt_acc_rate": 0.8}}.get(sampler, {})
    # NUTS adapts its step from one sample to the next: with ten updates in all it kept steps with which it got stuck.
    often = 1 / warmup if sampler == "nuts" else 0.1
    if sampler in _LINEAR:
        target = _linear(cuqi, residuals, sampler, scale)
    else:
        target = _target(cuqi, residuals, sampler, centre, root)
    found, rng = [], np.random.default_rng(seed)
    for _ in range(chains):
        start = rng.standard_normal(size) if around is not None else kept + 0.1 * rng.standard_normal(size)
        with _quiet(int(rng.integers(2**31))):
            chain = _kind(cuqi, name)(target, initial_point=start, **options)
            chain.warmup(warmup, tune_freq=often)
            chain.sample(count)
            eta = np.asarray(chain.get_samples().samples)[:, -count:]
        found.append(centre + eta.T @ root.T)
    residuals.set(kept)
    return Chains(np.stack(found), sampler, residuals.evaluations - before)


def _kind(cuqi, name: str):
    """A sampler's class, NUTS with numbers where it has arrays of one: numpy since 2.4 makes no integers of these."""
    kind = getattr(cuqi.sampler, name)
    if name != "NUTS":
        return kind

    class Nuts(kind):
        def _BuildTree(self, point, momentum, slope, energy, log_u, *more, **options):
            return super()._BuildTree(point, momentum, slope, float(energy), float(np.squeeze(log_u)), *more, **options)

    return Nuts


def _target(cuqi, residuals: Residuals, sampler: str, centre: np.ndarray, root: np.ndarray):
    """The posterior of eta, xi = centre + root eta; for pCN over a standard normal, which it proposes from."""
    size, pcn = residuals.size, sampler == "pcn"

    def log_density(eta):
        eta = np.asarray(eta, float).ravel()
        return residuals.log_density(centre + root @ eta) + (0.5 * float(eta @ eta) if pcn else 0.0)

    if pcn:
        likelihood = cuqi.likelihood.UserDefinedLikelihood(
            size, log_density, geometry=cuqi.geometry.Discrete(size), name="y"
        )
        prior = cuqi.distribution.Gaussian(np.zeros(size), 1.0, geometry=cuqi.geometry.Discrete(size), name="eta")
        return cuqi.distribution.Posterior(likelihood, prior)

    def slope(eta):
        return root.T @ residuals.slope(centre + root @ np.asarray(eta, float).ravel())

    return cuqi.distribution.UserDefinedDistribution(size, log_density, slope)


def _linear(cuqi, residuals: Residuals, sampler: str, scale: float):
    """The posterior of xi for r = A xi + r(0)."""
    size = residuals.size
    zero, matrix = residuals(np.zeros(size)), residuals.jacobian(np.zeros(size))
    other = np.random.default_rng(0).standard_normal(size)
    if np.abs(residuals(other) - zero - matrix @ other).max() > 1e-5 * np.abs(matrix @ other).max():
        raise OptionError(f"sampler: got {sampler!r} for residuals that are not affine, expected nuts, mala or pcn")
    geometry = cuqi.geometry.Discrete(size)
    if sampler == "ugla":
        shape = tuple(residuals.parameterization.generator.shape)
        if len(shape) != 2 or shape[0] != shape[1] or size != shape[0] * shape[1]:
            raise OptionError(f"ugla: got {size} weights for a field {shape}, expected the pixels of a square image")
        geometry = cuqi.geometry.Image2D(shape)
    model = cuqi.model.LinearModel(
        lambda xi: matrix @ np.ravel(xi), lambda y: matrix.T @ y, range_geometry=len(zero), domain_geometry=geometry
    )
    if sampler == "ugla":
        prior = cuqi.distribution.LMRF(0, scale, geometry=geometry, name="xi")
    else:
        prior = cuqi.distribution.Gaussian(np.zeros(size), 1.0, geometry=geometry, name="xi")
    data = cuqi.distribution.Gaussian(model(prior), 1.0, name="y")
    return cuqi.distribution.JointDistribution(prior, data)(y=-zero)


def _cuqi():
    """CUQIpy, whose import warns of what it imports."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return require("cuqi", "uq")


@contextlib.contextmanager
def _quiet(seed: int) -> Iterator[None]:
    """Without its progress bars, and with numpy's global random numbers, which it draws from, as they were."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stderr(io.StringIO()),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        np.random.set_state(state)
