"""How a network is trained on pairs, and the moving parts of that for the one loop."""

from dataclasses import asdict, dataclass
from math import ceil

import torch
from torch import nn

from eitdip.phantoms.pictures import FAMILIES
from eitdip.pretraining.loss import PairsLoss
from eitdip.pretraining.source import PairSource
from eitdip.reconstruction import Budget, FirstOf, HeldOut, Result, StoppingRule, TimeBudget
from eitdip.settings import Settings, setting


@dataclass(frozen=True)
class Training(Settings):
    """How a network is trained."""

    steps: int = setting("largest number of steps", 2000, least=1)
    batch: int = setting("pairs in a step, over all ranks", 16, least=1)
    learning_rate: float = setting("of AdamW at its height", 2e-3, above=0)
    rise: float = setting("share of the steps in which the rate rises to its height; then it falls to 0", 0.05,
                          above=0, below=1)  # fmt: skip
    decay: float = setting("of the weights towards zero in a step, over the rate", 1e-4, least=0)
    average: float = setting("decay of the moving average of the weights, which is what is kept", 0.999, least=0,
                             below=1)  # fmt: skip
    look: int = setting("steps between two looks at the held-out pairs, or a little less", 100, least=1)
    patience: int = setting("looks without improvement after which the training ends", 20, least=1)
    precision: str = setting("of products in the network in training: single, or bfloat16 for GPUs; CPUs without "
                             "AVX-512 are 20 times slower with it", "single",
                             choices=("single", "bfloat16"))  # fmt: skip
    snapshots: int = setting("weights kept along the training, in a folder beside the file, for tuned=snapshots", 0,
                             least=0, most=1000)  # fmt: skip
    seconds: float = setting("largest time that the steps may take, s; 0 for any", 0.0, least=0)


@dataclass(frozen=True)
class Network(Settings):
    """A U-Net with an input, and the pairs that it is trained on."""

    channels: int = setting("of the finest level; those of each coarser one are half as many more", 32, least=1,
                            most=1024)  # fmt: skip
    levels: int = setting("halvings", 3, least=1, most=8)
    skips: int = setting("channels of each skip connection", 16, least=1, most=1024)
    patch: int = setting("the network sees patches of so many pixels along each side as channels: faster, coarser", 1,
                         least=1, most=8)  # fmt: skip
    family: str = setting("of random pictures", "ellipses", choices=tuple(FAMILIES))
    tanks: int = setting("of tanks: how many are simulated; each is used with many errors, turned and mirrored", 3000,
                         least=2)  # fmt: skip
    resistive: float = setting("of tanks: contrast of resistive objects; they are drawn within a factor of 2.5", 0.2,
                               above=0, below=1)  # fmt: skip
    conductive: float = setting("of tanks: contrast of conductive objects; likewise", 4.0, above=1)
    pairs_seed: int = setting("of all pairs", 0, least=0)
    held_pairs: int = setting("pairs that are watched, not trained on", 32, least=1)
    spread: float = setting("the noise of a pair is between 1 / spread and spread times that of the data", 1.5,
                            least=1)  # fmt: skip

    def architecture(self, inputs: int, outputs: int, dimension: int) -> dict:
        """Of a U-Net, as `eitdip.pretraining.weights.build` takes it.

        Args:
            inputs: Channels of the input.
            outputs: Channels of the answer.
            dimension: 2 or 3.
        """
        widths = [round(self.channels * 1.5**level / 8) * 8 or 8 for level in range(self.levels + 1)]
        widths[0] = self.channels
        return {
            "class": "unet", "latent_channels": inputs, "channels": widths, "levels": self.levels,
            "skips": self.skips, "dimension": dimension, "outputs": outputs, "patch": self.patch, "scaled": True,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Trainee:
    """A training as `eitdip.reconstruction.reconstruct` takes it."""

    objective: PairsLoss
    optimizer: torch.optim.Optimizer
    schedule: object
    stop: StoppingRule


def begin(network: nn.Module, source: PairSource, loss: nn.Module, training: Training, comm=None) -> Trainee:
    """Objective, optimizer, schedule of its rate, and stopping rule.

    Args:
        network: With its first weights; it is changed in place.
        source: Of the pairs.
        loss: As for `PairsLoss`.
        training: Settings.
        comm: Ranks that share each batch, within `eitdip.ranks.gradients.training_together`.
    """
    # Looks that end with the steps: the last weights are the best ones, as the rate has fallen to 0.
    look = training.steps // ceil(training.steps / training.look)
    objective = PairsLoss(network, source, loss, batch=training.batch, decay=training.average, look=look, comm=comm)
    optimizer = torch.optim.AdamW(network.parameters(), lr=training.learning_rate, weight_decay=training.decay)
    objective.precision = torch.bfloat16 if training.precision == "bfloat16" else None
    # A rise of one step exactly is one of length 0 to torch, which divides by it.
    rise = training.rise if training.rise * training.steps != 1 else training.rise * (1 + 1e-9)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, training.learning_rate, training.steps, pct_start=rise, cycle_momentum=False
    )
    rules = [HeldOut(training.patience * look), Budget(training.steps)]
    rules += [TimeBudget(training.seconds)] if training.seconds else []
    return Trainee(objective, optimizer, schedule, FirstOf(*rules))


def record(training: Training, source: PairSource, result: Result) -> dict:
    """How a network was trained, and how well, as JSON values for `Weights.provenance`."""
    held = result.history["held_out"]
    return {
        "training": asdict(training),
        "pairs": source.hash,
        "steps": result.iterations,
        "kept": result.kept,
        "held-out loss": float(held[result.kept]),
        "seconds": round(float(result.history["seconds"][-1]), 1),
    }
