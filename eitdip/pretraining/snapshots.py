"""Snapshots along a training: where the weights came from is where a reconstruction may move them.

A network is trained by a walk through the space of its weights, most of which lies in a subspace of few dimensions. The
leading directions of snapshots of this walk are the ones in which weights tell pictures (or tanks) apart.

References:
    Barbano et al. (2023), Image reconstruction via deep image prior subspaces, arXiv:2302.10279.
"""

from collections.abc import Callable
from pathlib import Path

import torch

from eitdip.errors import CheckpointError, OptionError
from eitdip.pretraining.weights import Weights
from eitdip.reconstruction import Progress
from eitdip.writing import make_folder

_TOLERANCE = 1e-6  # of singular values over the largest one; snapshots are in single precision
_SAME = ("training", "pairs", "seed")  # of the provenance: what makes a training


def snapshots_beside(path) -> Path:
    """The folder for snapshots of weights in a file: of w.safetensors it is w-snapshots."""
    path = Path(path)
    return path.with_name(f"{path.stem}-snapshots")


class Snapshots:
    """A callback that writes weights into a folder at even distances of a training, the end not among them.

    Args:
        folder: Where; a resumed training goes on with the same files.
        count: How many.
        steps: Of the whole training.
        weights: Makes `Weights` of a state, such as that of a step, and of the number of its step.
    """

    def __init__(self, folder: Path, count: int, steps: int, weights: Callable[[dict, int], Weights]):
        self.folder, self._weights = folder, weights
        self._when = {number * steps // (count + 1) for number in range(1, count + 1)}

    def __call__(self, progress: Progress) -> None:
        step = progress.step
        if step.iteration in self._when:
            make_folder(self.folder)
            weights = self._weights({name: value.cpu() for name, value in step.state.items()}, step.iteration)
            weights.save(self.folder / f"{step.iteration:06d}.safetensors")


def differences(weights: Weights, folder: Path) -> torch.Tensor:
    """Snapshots of a training minus its weights, shape (n, P), float64, in the order of the network's parameters.

    Args:
        weights: What the training ended with.
        folder: Of `Snapshots`.

    Raises:
        CheckpointError: If there are none, or one is damaged or of another training.
    """
    files = sorted(Path(folder).glob("*.safetensors"))
    if not files:
        raise CheckpointError(
            f"{folder}: no snapshots there, expected some of the training of these weights; "
            "`eitdip train --set snapshots=10` keeps them"
        )
    names = [name for name, _ in weights.network().named_parameters()]
    rows = []
    for file in files:
        one = Weights.load(file)
        got, expected = ({name: each.provenance.get(name) for name in _SAME} for each in (one, weights))
        if one.architecture != weights.architecture or got != expected:
            raise CheckpointError(
                f"{file}: is of another training, expected one of the same network, pairs, settings and seed; remove "
                "it, or train again"
            )
        rows.append(torch.cat([(one.parameters[n] - weights.parameters[n]).double().reshape(-1) for n in names]))
    return torch.stack(rows)


def leading(rows: torch.Tensor, rank: int) -> torch.Tensor:
    """Leading right singular directions of snapshots, orthogonal, shape (rank or less, P).

    Each is as long as the snapshots are in its direction, in the root mean square: a coordinate of one is as far as the
    training went.

    Args:
        rows: Differences to a point, shape (n, P).
        rank: How many.

    Raises:
        OptionError: If there are fewer snapshots.
    """
    if rank > len(rows):
        raise OptionError(f"rank: got {rank} for {len(rows)} snapshots, expected at most as many; keep more of them")
    squares, left = torch.linalg.eigh(rows @ rows.T)  # n x n: P may be millions
    squares, left = squares.flip(0)[:rank], left.flip(1)[:, :rank]
    kept = squares > _TOLERANCE**2 * squares[0]
    return (left[:, kept].T @ rows) / len(rows) ** 0.5
