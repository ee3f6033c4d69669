"""The one loop: optimize, watch, stop, keep, resume."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from eitdip.errors import CheckpointError, DivergenceError, LinearSolverError, NotPositiveError
from eitdip.objective import Objective, Terms
from eitdip.reconstruction.checkpoint import Checkpoint
from eitdip.reconstruction.result import Result, Status, Step
from eitdip.reconstruction.stopping import StoppingRule


def iterate(objective: Objective, optimizer: torch.optim.Optimizer, schedule=None, start: int = 0) -> Iterator[Step]:
    """Optimizer steps without end; no output, no stopping.

    Works with optimizers that evaluate once (Adam) or several times (L-BFGS) per step.

    Args:
        objective: What is minimized.
        optimizer: Over the objective's parameters.
        schedule: A torch learning-rate scheduler, stepped after each step, or None.
        start: Number of the first step.

    Raises:
        DivergenceError: If the loss is infinite or NaN, the field overflows, or no linear system can be solved.
    """
    iteration = start
    while True:
        began = time.perf_counter()
        state = objective.state()  # of the first evaluation, which the optimizer moves away from
        evaluations: list[Terms] = []

        def evaluate(seen=evaluations, iteration=iteration) -> torch.Tensor:
            optimizer.zero_grad()
            terms = objective()
            loss = terms.total
            if not torch.isfinite(loss):
                raise DivergenceError(
                    f"the loss became {float(loss.detach())} at step {iteration}: lower the learning rate"
                )
            with objective.stopwatch("network"):
                loss.backward()  # the model's adjoint in it counts to the model
            seen.append(terms)
            return loss

        try:
            optimizer.step(evaluate)
        except (NotPositiveError, LinearSolverError, DivergenceError) as error:
            # Of several evaluations of a step the first, at the iterate that the step before had reached, may be good.
            reached = Step(iteration, evaluations[0], time.perf_counter() - began, state) if evaluations else None
            if isinstance(error, DivergenceError):
                error.step = reached
                raise
            if iteration == 0 and reached is None:  # a bad start, not a bad step
                raise
            message = f"step {iteration}: {error}; lower the learning rate, or penalize more"
            raise DivergenceError(message, step=reached) from error
        if schedule is not None:
            schedule.step()
        yield Step(iteration, evaluations[0], time.perf_counter() - began, state)
        iteration += 1


@dataclass(frozen=True)
class Progress:
    """What a callback sees after each step.

    Args:
        step: The step.
        kept: Iteration of the best iterate so far.
        result: Makes the present `Result`.
        checkpoint: Makes a `Checkpoint` of the present state.
    """

    step: Step
    kept: int
    result: Callable[[], Result]
    checkpoint: Callable[[], Checkpoint]


def reconstruct(
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    stop: StoppingRule,
    *,
    schedule=None,
    callbacks: Sequence[Callable[[Progress], None]] = (),
    resume: Checkpoint | None = None,
    run: str = "",
    interrupted: Callable[[], bool] = lambda: False,
    watch: Callable[[Step], dict[str, float]] = lambda step: {},
    limits: dict[str, float] | None = None,
) -> Result:
    """Minimize an objective until the stopping rule ends it.

    Args:
        objective: What is minimized.
        optimizer: Over the objective's parameters.
        stop: Decides the end and which iterate is returned.
        schedule: Learning-rate scheduler or None.
        callbacks: Called with a `Progress` after each step; they only look.
        resume: A checkpoint of the same run to go on from; the result is then bit-identical to that
            of an uninterrupted run on the CPU.
        run: Fingerprint written into checkpoints.
        interrupted: Asked after each step; True ends the loop. Under MPI all ranks must agree.
        watch: More named numbers of a step for the history, such as the distance to a known truth.
        limits: Named limits of this session, for the record: a resumed run may be given others.

    Returns:
        The kept iterate and the history.

    Raises:
        CheckpointError: If the checkpoint is of another run.
        DivergenceError: As for `iterate`; its `result` holds the iterate kept so far.
    """
    state = _LoopState(objective, optimizer, stop, schedule, run)
    if resume is not None:
        if run and resume.run != run:
            raise CheckpointError(f"checkpoint: got one of the run {resume.run!r}, expected {run!r}; resume that")
        state.restore(resume)
    if state.ended and state.ended[0] == Status.BUDGET and not stop.spent(state.iterations):
        state.ended = ()  # a larger budget now: the run goes on
    if state.ended:  # resumed after its end: nothing is left to do
        return state.result(*state.ended)
    state.sessions.append({"from step": state.iterations} | (limits or {}))
    try:
        for step in iterate(objective, optimizer, schedule, state.iterations):
            decision = stop.update(step)
            state.record(step, decision.keep, watch(step))
            if decision.stop:
                state.ended = (decision.status, decision.reason)
            progress = Progress(step, state.kept, state.result, state.checkpoint)
            for callback in callbacks:
                callback(progress)
            if decision.stop:
                return state.result(decision.status, decision.reason)
            if interrupted():
                return state.result(Status.INTERRUPTED, "interrupted; resume from the checkpoint")
    except DivergenceError as error:
        if error.step is not None:
            state.record(error.step, stop.update(error.step).keep, watch(error.step))
        if state.iterations:
            error.result = state.result(Status.DIVERGED, str(error))
        raise


class _LoopState:
    def __init__(self, objective, optimizer, stop, schedule, run):
        self.objective, self.optimizer, self.stop, self.schedule = objective, optimizer, stop, schedule
        self.run = run
        self.iterations = self.kept = 0
        self.history: dict[str, list[float]] = {}
        self.estimate = self.x = None
        self.weights: dict[str, torch.Tensor] = {}
        self.ended: tuple[Status, str] | tuple[()] = ()
        self.sessions: list[dict[str, float]] = []

    def record(self, step: Step, keep: bool, watched: dict[str, float]) -> None:
        terms = step.terms
        row = {"loss": float(terms.total.detach()), "chi2": terms.chi2, "held_out": terms.held_out}
        row |= {name: float(loss.detach()) for name, loss in terms.losses.items()} | watched
        row["seconds"] = step.seconds + (self.history["seconds"][-1] if "seconds" in self.history else 0.0)
        for name, value in row.items():
            self.history.setdefault(name, []).append(value)
        self.iterations = step.iteration + 1
        if keep or self.estimate is None:
            self.kept, self.weights = step.iteration, step.state
            self.estimate, self.x = terms.estimate.clone(), terms.x.clone()

    def result(self, status: Status = Status.INTERRUPTED, reason: str = "") -> Result:
        history = {name: np.array(values) for name, values in self.history.items()}
        estimate, x = self.estimate.cpu().numpy(), self.x.cpu().numpy()
        state = {name: value.cpu() for name, value in self.weights.items()}
        return Result(estimate, x, status, reason, self.iterations, self.kept, history, state, tuple(self.sessions))

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(
            self.run,
            self.iterations,
            {
                "objective": dict(self.objective.state_dict()),
                "optimizer": self.optimizer.state_dict(),
                "schedule": None if self.schedule is None else self.schedule.state_dict(),
                "stop": self.stop.state_dict(),
                "history": {name: np.array(values) for name, values in self.history.items()},
                "kept": self.kept,
                "estimate": self.estimate,
                "x": self.x,
                "weights": self.weights,
                "ended": [str(word) for word in self.ended],
                "sessions": self.sessions,
            },
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        state = checkpoint.state
        self.objective.load_state_dict(state["objective"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])
        self.stop.load_state_dict(_on_device(state["stop"], next(self.objective.parameters()).device))
        self.history = {name: values.tolist() for name, values in state["history"].items()}
        self.iterations, self.kept = checkpoint.iteration, state["kept"]
        self.estimate, self.x, self.weights = state["estimate"], state["x"], state["weights"]
        self.sessions = list(state.get("sessions", []))
        if state["ended"]:
            self.ended = (Status(state["ended"][0]), state["ended"][1])


def _on_device(value, device: torch.device):
    """Nested dicts and lists with their tensors on a device: files are read on the CPU."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {name: _on_device(item, device) for name, item in value.items()}
    return [_on_device(item, device) for item in value] if isinstance(value, list) else value
