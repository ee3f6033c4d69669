"""Names of runs: a run can be resumed by the same data, model, unknown, method and seed only."""

import hashlib
import json
from dataclasses import asdict, replace

from eitdip.errors import CheckpointError
from eitdip.methods.options import Method
from eitdip.methods.uncertainty import SETTINGS
from eitdip.problems.problem import Problem


def fingerprint(problem: Problem, method: Method, seed: int) -> str:
    """Hashes of all that can change the course of a seed, part by part."""
    completed = replace(method.completed(problem.unknown.kind), seed=seed, seeds=1)
    if completed.schedule != "cosine" or completed.optimizer != "adam":
        completed = replace(completed, steps=None)  # a longer run begins like a shorter one
    # A default that follows the steps may decide nothing, and what is said of an estimate does not change it.
    used = completed.used(problem.unknown.kind) - set(SETTINGS)
    chosen = {name: value for name, value in asdict(completed).items() if name in used}
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:16]
    return " ".join(f"{name}:{value}" for name, value in {**problem.parts, "method": digest}.items())


def check_fingerprint(found: str, expected: str, path) -> None:
    """Make sure that a checkpoint is of this run.

    Raises:
        CheckpointError: If not; it says what differs.
    """
    other = set(found.split()) ^ set(expected.split())
    if other:
        parts = sorted({word.partition(":")[0] for word in other})
        raise CheckpointError(
            f"{path}: belongs to another run: got another {' and another '.join(parts)} (the method includes its "
            "settings and seed); repeat its command line, or start without --resume"
        )
