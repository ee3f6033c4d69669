"""The loop, its stopping rules, results and checkpoints."""

from eitdip.reconstruction.checkpoint import Checkpoint
from eitdip.reconstruction.loop import Progress, iterate, reconstruct
from eitdip.reconstruction.result import Result, Status, Step
from eitdip.reconstruction.stopping import (
    Budget,
    Decision,
    Discrepancy,
    FirstOf,
    HeldOut,
    StoppingRule,
    TimeBudget,
    WindowedVariance,
)

__all__ = [
    "Budget",
    "Checkpoint",
    "Decision",
    "Discrepancy",
    "FirstOf",
    "HeldOut",
    "Progress",
    "Result",
    "Status",
    "Step",
    "StoppingRule",
    "TimeBudget",
    "WindowedVariance",
    "iterate",
    "reconstruct",
]
