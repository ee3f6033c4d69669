"""The error of a model, from simulated tanks: what it leaves of their data at the true conductivity.

Tanks with misplaced electrodes, a wall that is out of round, other contacts and the instrument's errors are simulated
on finer meshes, and the same bodies, in the same water, by the model of the inversion, which knows nothing of all that.
Of the differences e the mean and the leading principal components are kept; what is left counts as independent:

    e ~ mean + B^T w + deviation * v,   w, v standard normal.

References:
    Kaipio and Somersalo (2005), Statistical and Computational Inverse Problems, section 5.8.
"""

from dataclasses import asdict, dataclass, replace

import numpy as np

from eitdip.data.noise import ModelError
from eitdip.data.streams import stream
from eitdip.errors import OptionError
from eitdip.pretraining.tanks import Layout, TankErrors
from eitdip.problems.one_step import OneStep
from eitdip.problems.problem import Problem
from eitdip.ranks.collectives import world
from eitdip.ranks.failures import ending_together
from eitdip.settings import Settings, setting


@dataclass(frozen=True)
class Simulated(Settings):
    """Tanks from which the error of a model is estimated."""

    tanks: int = setting("how many are simulated, about", 600, least=20)
    modes: int = setting("errors that many measurements share: principal components that are kept", 50, least=1)
    resistive: float = setting("contrast of resistive objects; they are drawn within a factor of 2.5", 0.2, above=0,
                               below=1)  # fmt: skip
    conductive: float = setting("contrast of conductive objects; likewise", 4.0, above=1)
    size: float = setting("of the instrument's errors", TankErrors.size, least=0)
    pairs_seed: int = setting("of the tanks and errors", 0, least=0)


def sample(problem: Problem, family, errors: TankErrors, seed: int, count: int, comm=None) -> np.ndarray:
    """Errors of the model of tanks like that of a problem, without their independent part.

    Args:
        problem: Its patterns and deviations count, and its model.
        family: An `eitdip.problems.simulate_transfer.TankFamily`.
        errors: Of the instrument.
        seed: Of all draws.
        count: How many, rounded up to whole meshes.
        comm: MPI communicator on which the tanks are divided; each rank has a problem of its own.

    Returns:
        Shape (n, K, M), in the unit of the data, the same on any number of ranks.
    """
    from eitdip.problems import simulate_transfer  # finite elements: images need none

    comm = world() if comm is None else comm
    layout, quiet = Layout(problem, OneStep(problem)), replace(errors, white=0.0)
    meshes, mine = -(-count // simulate_transfer.PER_MESH), {}
    with ending_together(comm):
        for number in range(comm.rank, meshes, comm.size):
            rng, start = stream(seed, "errors of tanks", 2, number), problem.unknown.start
            pairs = zip(*simulate_transfer.compare_tanks(family, problem.model, start, seed, number), strict=True)
            mine[number] = [
                layout.disturbed(layout.measured(fine), quiet, rng) - layout.measured(nominal)
                for fine, nominal in pairs
            ]
        found = {number: rows for each in comm.allgather(mine) for number, rows in each.items()}
    return np.concatenate([found[number] for number in range(meshes)])


def model_error(problem: Problem, samples: np.ndarray, errors: TankErrors, modes: int) -> ModelError:
    """Mean, principal components and the rest of errors.

    Args:
        problem: Whose deviations are the unit of the components.
        samples: Shape (n, K, M), of `sample`.
        errors: Of the instrument, whose independent part is added: by how much it is beyond the deviations of the data.
        modes: How many components, at most a quarter of the samples: more would be chance.

    Raises:
        OptionError: If there are too few samples.
    """
    if not 1 <= modes <= len(samples) / 4:
        raise OptionError(f"modes: got {modes} for {len(samples)} tanks, expected at most a quarter of their number")
    deviation, mean = problem.data.deviation, samples.mean(axis=0)
    centered = (samples - mean) / deviation / np.sqrt(len(samples) - 1)
    _, sizes, right = np.linalg.svd(centered.reshape(len(samples), -1), full_matrices=False)
    kept = (sizes[:modes, None] * right[:modes]).reshape(modes, *mean.shape)
    rest = np.maximum(np.square(centered).sum(axis=0) - np.square(kept).sum(axis=0), 0)
    # The mean square of the lognormal sizes.
    white = (errors.white * errors.size) ** 2 * np.exp(2 * errors.spread**2)
    return ModelError(mean, kept * deviation, deviation * np.sqrt(rest + max(0.0, white - 1)))


def estimate(problem: Problem, simulated: Simulated | None = None, comm=None) -> tuple[ModelError, dict]:
    """The error of a problem's model, and how it was made.

    Args:
        problem: An electrode tank; of its data only deviations and mask count.
        simulated: Settings.
        comm: As for `sample`.

    Raises:
        OptionError: If the problem is no such tank.
    """
    from eitdip.runs.educate import tank_family

    if problem.unknown.kind == "image" or problem.measurements.model != "electrodes":
        raise OptionError(f"{problem.name}: got a problem without electrodes, expected those of electrodes in a tank")
    simulated = simulated or Simulated()
    family, errors = tank_family(problem, simulated.resistive, simulated.conductive), TankErrors(size=simulated.size)
    samples = sample(problem, family, errors, simulated.pairs_seed, simulated.tanks, comm)
    told = {"settings": asdict(simulated), "errors": asdict(errors), "family": asdict(family), "tanks": len(samples)}
    return model_error(problem, samples, errors, simulated.modes), told
