"""Files of networks that fit a problem, as training would leave them."""

from dataclasses import replace
from pathlib import Path

import torch

from eitdip.networks import initialize
from eitdip.pretraining.snapshots import snapshots_beside
from eitdip.pretraining.tasks import fitting
from eitdip.pretraining.training import Network
from eitdip.pretraining.weights import Weights, build
from eitdip.problems.problem import Problem

SMALL = Network(channels=8, levels=1, skips=4)
# Of bodies: the size of the images, and levels of which equal probabilities make the background.
TRAINED = {"pixels": [16, 16], "levels": [0.0, -1.0, 1.0]}


def architecture(inputs: int, outputs: int, dimension: int = 2, network: Network = SMALL) -> dict:
    return network.architecture(inputs, outputs, dimension)


def weights_for(problem: Problem, answer: float = 0.0, seed: int = 0, **provenance) -> Weights:
    """A small network with random weights; its last layer is 0 as before any training, or random of this size."""
    image = problem.unknown.kind == "image"
    task, seen = fitting(problem, {} if image else TRAINED)
    outputs = problem.unknown.channels if image else len(TRAINED["levels"])
    built = architecture(seen.shape[1], outputs, problem.unknown.dimension)
    generator = torch.Generator().manual_seed(seed)
    network = initialize(build(built), generator)
    if answer:
        with torch.no_grad():
            for value in network.output.parameters():
                value += answer * torch.randn(value.shape, generator=generator)
    return Weights(built, network.state_dict(), task, provenance)


def weights_file(folder: Path, problem: Problem, answer: float = 0.0, seed: int = 0) -> str:
    """Its file, as a setting."""
    path = Path(folder) / f"{problem.name}.safetensors"
    weights = weights_for(problem, answer, seed)
    weights.save(path)
    snapshots_beside(path).mkdir(exist_ok=True)
    for number, snapshot in enumerate(snapshots_of(weights, 4)):
        snapshot.save(snapshots_beside(path) / f"{number:06d}.safetensors")
    return str(path)


def snapshots_of(weights: Weights, count: int) -> list[Weights]:
    """Of a made-up training that ended with these weights: each nearer to them."""
    generator, made = torch.Generator().manual_seed(1), []
    for number in range(count):
        size = 0.1 * (count - number) / count
        moved = {name: v + size * torch.randn(v.shape, generator=generator) for name, v in weights.parameters.items()}
        made.append(replace(weights, parameters=moved))
    return made
