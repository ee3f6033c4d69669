"""The mean loss over pairs, as an objective of the one loop."""

from copy import deepcopy

import torch
from torch import nn

from eitdip.errors import OptionError
from eitdip.objective import Objective, Terms
from eitdip.parameterization.weights import snapshot
from eitdip.pretraining.source import Batch, PairSource
from eitdip.ranks.gradients import shared

EXAMPLES = 4  # of the held-out pairs, whose answers are the estimate


class PairsLoss(Objective):
    """The mean over the next pairs of loss(network(input), target).

    What is delivered is the moving average of the weights over the steps, which is better than the last ones. All that
    is watched is of it: `held_out` is the loss of pairs that are not trained on, `estimate` the answers to the first
    of these. Both are looked at in the first step and in the last one of every `look`, and stand until the next look.

    Args:
        network: Inputs (B, C, *shape) to raw outputs.
        source: Of the pairs.
        loss: Outputs and targets to named losses, and with `images` outputs to what they stand for.
        batch: Pairs in a step, over all ranks.
        decay: Of the moving average, 0 <= decay < 1; in the first steps it is shorter.
        look: Steps between two looks at the held-out pairs.
        comm: Ranks that share each batch; None for one.

    Attributes:
        precision: Of products in the network in training steps, such as torch.bfloat16; None for that of the weights,
            which stays as it is, as do losses and what is watched.

    Raises:
        OptionError: If a number is out of range, or the ranks do not divide the batch.
    """

    precision: torch.dtype | None = None

    def __init__(
        self,
        network: nn.Module,
        source: PairSource,
        loss: nn.Module,
        *,
        batch: int = 16,
        decay: float = 0.999,
        look: int = 100,
        comm=None,
    ):
        super().__init__()
        self._share = (0, 1) if comm is None else (comm.rank, comm.size)
        if batch < 1 or look < 1 or not 0 <= decay < 1:
            raise OptionError(f"batch, decay, look: got {batch}, {decay}, {look}; expected >= 1, in [0, 1), >= 1")
        if batch % self._share[1]:
            raise OptionError(f"batch: got {batch} for {self._share[1]} ranks, expected a multiple of their number")
        self.network, self.loss = network, loss
        self.average = deepcopy(network).requires_grad_(False)
        self._source, self._batch, self._decay, self._look = source, int(batch), float(decay), int(look)
        # No submodule: its weights are those of the network.
        self._called = (network if self._share[1] == 1 else shared(network),)
        self._held: Batch | None = None
        first = self._held_out().inputs[:EXAMPLES]
        with torch.no_grad():
            example = loss.images(self.average(first))
        self.register_buffer("_step", torch.zeros((), dtype=torch.int64))
        self.register_buffer("_held_out_loss", torch.full((), torch.inf, dtype=torch.float64))
        self.register_buffer("_example", example.clone())

    def forward(self) -> Terms:
        step = int(self._step)
        if step == 0 or (step + 1) % self._look == 0:
            self._watch()
        with self.stopwatch("pairs"):
            batch = self._source.batch(step, self._batch, self._share).to(self._example.device)
        with self.stopwatch("network"):
            losses = self.loss(self._outputs(batch.inputs), batch.targets)
            # The loop has taken the state before it came here: the average that was watched is of the steps before.
            self._follow(step)
        self._step += 1
        example = self._example.detach()
        return Terms(losses, float("nan"), float(self._held_out_loss), example, example)

    def state(self) -> dict[str, torch.Tensor]:
        """Copies of the averaged weights, which the network loads as a `state_dict`."""
        return snapshot(self.average)

    def _outputs(self, inputs: torch.Tensor) -> torch.Tensor:
        kind, lower = inputs.device.type, self.precision is not None
        with torch.autocast(kind, self.precision or torch.bfloat16, enabled=lower):
            outputs = self._called[0](inputs)
        return outputs.to(next(self.network.parameters()).dtype) if lower else outputs

    def _held_out(self) -> Batch:
        if self._held is None:
            self._held = self._source.held_out()
        return self._held.to(next(self.network.parameters()).device)

    def _watch(self) -> None:
        held, total = self._held_out(), 0.0
        parts = zip(held.inputs.split(self._batch), held.targets.split(self._batch), strict=True)
        with torch.no_grad():
            for inputs, targets in parts:
                total += len(inputs) * float(sum(self.loss(self.average(inputs), targets).values()))
            self._example.copy_(self.loss.images(self.average(held.inputs[:EXAMPLES])))
        self._held_out_loss.fill_(total / len(held.inputs))

    @torch.no_grad()
    def _follow(self, step: int) -> None:
        """The average moves towards the weights before this step's update."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for mean, value in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value.to(mean.dtype), 1 - decay)
