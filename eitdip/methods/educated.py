"""A pretrained network on what a classical method makes of the data, as a generator."""

import numpy as np
import torch
from torch import nn

from eitdip.errors import choose
from eitdip.methods.names import SUBSPACES
from eitdip.methods.options import Method
from eitdip.objective.jacobian import field_jacobian
from eitdip.parameterization import Affine, DeepImagePrior, Parameterization
from eitdip.parameterization.tuning import Classes, Subspace, low_rank, only
from eitdip.pretraining.snapshots import differences, leading, snapshots_beside
from eitdip.pretraining.tasks import LEVELS, fitting
from eitdip.pretraining.weights import Weights
from eitdip.problems.problem import Problem
from eitdip.problems.unknown import Grid
from eitdip.spectrum import randomized_svd

# Of the singular vectors, which need only span about the right space.
_MORE, _TOLERANCE = 8, 1e-3


def educated(problem: Problem, method: Method, seed: int) -> tuple[nn.Module, Grid]:
    """The generator, whose first field is the network's answer, and the grid on which that lives.

    Args:
        problem: What the network must have been trained for.
        method: Completed settings, with the file of the weights.
        seed: Of the noise on the input and of low-rank updates.

    Raises:
        CheckpointError: If the weights are missing, damaged, or for another task.
    """
    weights = Weights.load(method.weights)
    task, seen = fitting(problem, weights.task)
    weights.check(task, str(method.weights))
    generator = torch.Generator().manual_seed(seed)
    prior = DeepImagePrior(weights.network(), seen, method.input_noise, generator)
    body = problem.unknown.kind != "image"
    made = Classes(prior, tuple(weights.task.get("levels", LEVELS))) if body else prior
    made = choose("tuned", method.tuned, TUNED)(made, prior.network, method, generator)
    return made, problem.unknown.grid("pixels", max(made.shape))


@torch.no_grad()
def probabilities(problem: Problem, method: Method, state: dict[str, torch.Tensor]) -> np.ndarray:
    """Of the classes of a tank's pixels, after tuning.

    Args:
        problem: A tank.
        method: With which it was reconstructed.
        state: Weights of the iterate that was kept, `Result.state`.

    Returns:
        Shape (classes, H, W), row 0 at the top.
    """
    made, _ = educated(problem, method.completed(problem.unknown.kind), method.seed)
    words = "generator."
    made.load_state_dict({name.removeprefix(words): v for name, v in state.items() if name.startswith(words)})
    made = made.there() if method.tuned in SUBSPACES else made
    return made.probabilities().numpy()


def _all(made, network, method, generator):
    return made


def _part(made, network, method, generator):
    only(network, method.tuned)
    return made


def _low_rank(made, network, method, generator):
    low_rank(network, method.rank, generator)
    return made


def _subspace(made, network, method, generator):
    """Along the leading right singular vectors of the field's derivative: what changes it most."""
    field = Parameterization(made, Affine(0.0, 1.0), unit=1.0)
    operator, rng = field_jacobian(field), np.random.default_rng(method.seed)
    spectrum = randomized_svd(operator, method.rank, rng, oversampling=_MORE, tolerance=_TOLERANCE)
    seen = spectrum.values > _TOLERANCE * spectrum.values[0]
    # Steps of length one then change the field by about one, as those of weights do.
    return Subspace(made, torch.from_numpy(spectrum.right[seen] / spectrum.values[seen, None]))


def _snapshots(made, network, method, generator):
    """Along the leading directions of snapshots of the training; what is no weight of the network stays free."""
    weights = Weights.load(method.weights)
    directions = leading(differences(weights, snapshots_beside(method.weights)), method.rank)
    own = {id(value) for value in network.parameters()}
    trained = [value for value in made.parameters() if value.requires_grad]
    ours = torch.cat([torch.full((value.numel(),), id(value) in own) for value in trained])
    others = torch.eye(int((~ours).sum()), dtype=torch.float64)
    basis = torch.zeros(len(directions) + len(others), len(ours), dtype=torch.float64)
    basis[: len(directions), ours], basis[len(directions) :, ~ours] = directions, others
    return Subspace(made, basis)


TUNED = {
    "all": _all,
    "decoder": _part,
    "last": _part,
    "low-rank": _low_rank,
    "subspace": _subspace,
    "snapshots": _snapshots,
}
