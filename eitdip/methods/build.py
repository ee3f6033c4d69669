"""From a problem and a method to the moving parts that the loop takes."""

from dataclasses import dataclass

import torch

from eitdip.cost import Stopwatch
from eitdip.errors import OptionError
from eitdip.methods.names import CLASSICAL
from eitdip.methods.objectives import objective
from eitdip.methods.optimizers import optimizer
from eitdip.methods.options import Method, Running
from eitdip.methods.stopping import stopping_rule
from eitdip.objective import Objective
from eitdip.problems.problem import Problem
from eitdip.reconstruction import StoppingRule


@dataclass(frozen=True, eq=False)
class Run:
    """One seed of a problem, as `eitdip.reconstruction.reconstruct` takes it."""

    objective: Objective
    optimizer: torch.optim.Optimizer
    schedule: object
    stop: StoppingRule


def start(
    problem: Problem, method: Method, seed: int, running: Running | None = None, stopwatch: Stopwatch | None = None
) -> Run:
    """A fresh objective, optimizer, schedule and stopping rule for one seed; all ranks of the model take part.

    Args:
        problem: Model, data, unknown.
        method: What is minimized and how.
        seed: Of weights, latent tensor and held-out choice.
        running: Device and time limit.
        stopwatch: Counts where the time of the objective goes.

    Raises:
        OptionError: If the method does not fit the problem, or needs no loop.
    """
    method.check(problem)
    if method.optimizer in CLASSICAL:
        raise OptionError(f"option optimizer: got {method.optimizer!r}, which needs no loop; use eitdip.solve")
    running = running or Running()
    method, device = method.completed(problem.unknown.kind), device_of(running, problem.comm)
    problem.model.to(device)
    problem.model.restore(problem.state)
    made = objective(problem, method, seed, device, stopwatch)
    stepper, schedule = optimizer(made, method, problem.comm)
    return Run(made, stepper, schedule, stopping_rule(method, running.seconds, problem.unknown.unit is None))


def device_of(running: Running, comm) -> torch.device:
    """Where this rank's network runs: neighbouring ranks take different GPUs, where there are several.

    Raises:
        OptionError: If there is no GPU.
    """
    if running.device == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise OptionError(
            "option device: got 'cuda', but torch finds no CUDA device here; use device=cpu, or a torch built for CUDA"
        )
    return torch.device("cuda", comm.rank % torch.cuda.device_count())
