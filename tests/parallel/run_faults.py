"""A fault on one rank at each stage at which ranks work together; rank 0 prints one JSON object per stage.

usage: mpiexec -n N python run_faults.py FOLDER known|unforeseen RANK STAGE...

FOLDER has tank.h5. If all ranks hear of the fault, the next stage follows; else the program must end, and the caller
goes on with the stages that are left. The rank that fails says when on standard error.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

import eitdip
from eitdip import plot
from eitdip.errors import EitdipError
from eitdip.methods.options import Running, method
from eitdip.problems import load
from eitdip.problems.simulate_bodies import simulate_electrodes
from eitdip.ranks.collectives import world
from eitdip.runs import batch, compare, output
from tests.cases.measurements import TANK

SMALL = {"size": 16, "channels": 4, "levels": 1, "steps": 3}


@dataclass(frozen=True)
class Stage:
    """Where a fault is, and a way there.

    Args:
        where: Module and name of a function that fails instead of doing its work.
        call: What to do, of the folder.
        skip: How often the function works before; from then on it always fails.
        root: Only rank 0 comes there.
    """

    where: str
    call: Callable[[Path], object]
    skip: int = 0
    root: bool = False


def tank(folder: Path, comm=None, **meshing):
    return eitdip.load(folder / "tank.h5", comm=comm, h=0.35, **meshing)


def solved(folder: Path, name: str = "dip-tv", to: str | None = None, mesh_ranks: int = 1, **settings):
    chosen = (SMALL if name == "dip-tv" else {"steps": 2}) | settings
    checkpoints = None if to is None else folder / to
    problem = tank(folder, mesh_ranks=mesh_ranks or world().size)
    return eitdip.solve(problem, name, folder=checkpoints, quiet=True, checkpoint_seconds=0, **chosen)


def resumed(folder: Path):
    solved(folder, to="resumed")
    return solved(folder, to="resumed", resume=True)


def jobs(folder: Path):
    source = load.read(folder / "tank.h5", settings={"h": 0.35})
    return [batch.Job(source, "dip-tv", method("dip-tv", SMALL), folder / "batch" / name) for name in "ab"]


def batched(folder: Path):
    outcomes = batch.reconstruct(jobs(folder), Running(), comm=world())
    errors = [outcome.error for outcome in outcomes if outcome.error]
    assert len(outcomes) == 2
    if errors:  # known to all: an error of the package
        raise EitdipError(errors[0])


def compared(folder: Path, resume: bool = False):
    source = load.read(folder / "tank.h5", settings={"h": 0.35})
    contenders = [compare.Contender("dip-tv", "dip-tv", method("dip-tv", SMALL), source)]
    entries = list(compare.compare(contenders, folder / "c", seeds=1, running=Running(), comm=world(), resume=resume))
    if any(entry.error for entry in entries):
        raise EitdipError(entries[0].error)
    return entries


def compared_again(folder: Path):
    compared(folder)
    return compared(folder, resume=True)


def derivative(folder: Path):
    model = tank(folder).model
    sigma = np.ones(model.domain.shape)
    return model.linearize(sigma)[1](sigma)


shared = partial(solved, mesh_ranks=0)
STAGES = {
    "reading": Stage("eitdip.problems.load:load_measurements", tank),
    "mesh": Stage("eitdip.problems.bodies:_mesh", tank),
    "distribution of the mesh": Stage("eitdip.fem.spaces:dolfinx_mesh", partial(tank, mesh_ranks=0)),
    "numbering": Stage("eitdip.fem.spaces:Discretization._number", tank),
    "matrix": Stage("eitdip.fem.stiffness:SystemMatrix", tank),
    "solver": Stage("eitdip.fem.stiffness:make_solver", tank),
    "calibration": Stage("eitdip.problems.bodies:calibrate", tank),
    "in the calibration": Stage("eitdip.fem.electrode:_pseudo_inverse", tank, skip=1),
    "device": Stage("eitdip.runs.session:device_of", solved),
    "start": Stage("eitdip.methods.build:objective", solved),
    "network": Stage("eitdip.parameterization.parameterization:Parameterization.field", solved),
    "value": Stage("eitdip.fem.electrode:check_sigma", solved, skip=5),
    "factorization": Stage("eitdip.fem.direct:Cholesky.factorize", solved, skip=5),
    "solve": Stage("eitdip.fem.direct:Cholesky.solve", solved, skip=5),
    "shared factorization": Stage("eitdip.fem.direct:Cholesky.factorize", shared, skip=5),
    "in a shared solve": Stage("eitdip.fem.direct:check_residual", shared, skip=5),
    "gather of potentials": Stage("eitdip.fem.stiffness:gather_columns", solved, skip=5),
    "derivative": Stage("eitdip.fem.sensitivity:sum_over", derivative),
    "gradient": Stage("eitdip.fem.sensitivity:gather_shares", solved, skip=1),
    "jacobian": Stage("eitdip.fem.sensitivity:PairSensitivity.dense", partial(solved, name="gn-tv")),
    "update": Stage("torch.optim:Adam.step", solved, skip=1),
    "stopping rule": Stage("eitdip.reconstruction.stopping:Budget.update", solved, skip=1),
    "metrics": Stage("eitdip.runs.session:_Work._watch", solved, skip=1),
    "checkpoint": Stage("eitdip.reconstruction.checkpoint:Checkpoint.save", partial(solved, to="s"), 1, root=True),
    "last checkpoint": Stage("eitdip.reconstruction.checkpoint:Checkpoint.save", partial(solved, to="s"), 3, root=True),
    "resume": Stage("eitdip.reconstruction.checkpoint:Checkpoint.load", resumed, root=True),
    "restored state": Stage("eitdip.reconstruction.loop:_LoopState.restore", resumed),
    "gather of seeds": Stage("eitdip.ranks.teams:Team.gather", partial(solved, seeds=2)),
    "mean": Stage("eitdip.problems.bodies:Body.mean", partial(solved, seeds=2)),
    "prediction": Stage("eitdip.runs.session:_Work.predict", solved),
    "output": Stage("eitdip.runs.output:write_pictures", lambda folder: solved(folder).save(folder / "o"), root=True),
    "batch": Stage("eitdip.runs.batch:_one", batched),
    "session of a batch": Stage("eitdip.runs.session:start", batched),
    "output of a batch": Stage("eitdip.runs.output:write", batched, root=True),
    "comparison": Stage("eitdip.runs.session:start", compared),
    "resumed comparison": Stage("eitdip.runs.compare:asdict", compared_again, root=True),
    "problem of a comparison": Stage("eitdip.problems.bodies:prepare", compared_again, skip=1),
    "simulation": Stage("eitdip.problems.simulate_bodies:_data_mesh", lambda _: simulate_electrodes(phantom(), TANK)),
}


def phantom():
    from eitdip.phantoms import phantom as named

    return named("tank")


class Unforeseen(Exception):
    """No error of the package's own."""


def broken(named: str, kind: str, rank: int):
    """Let a function fail on one rank; returns what mends it."""
    stage = STAGES[named]
    module, _, path = stage.where.partition(":")
    *owners, name = path.split(".")
    owner = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    inner, calls = getattr(owner, name), []

    def fail(*arguments, **settings):
        calls.append(1)
        if world().rank == (0 if stage.root else rank) and len(calls) > stage.skip:
            sys.stderr.write(f"FAULT {time.time()} {named}\n")
            sys.stderr.flush()
            raise {"known": EitdipError, "unforeseen": Unforeseen}[kind]("a fault on one rank")
        return inner(*arguments, **settings)

    setattr(owner, name, fail)
    return lambda: setattr(owner, name, inner)


def main() -> None:
    folder, kind, rank, *stages = sys.argv[1:]
    output.write_pictures = lambda *nothing: None
    plot.images = plot.pictures = plot.against_time = lambda path, *arguments, **looks: path.write_bytes(b"")
    comm = world()
    for name in stages:
        mend = broken(name, kind, int(rank))
        seen = None
        try:
            STAGES[name].call(Path(folder))
        except Exception as error:
            seen = [type(error).__name__, str(error)]
        finally:
            mend()
        everywhere = comm.allgather((seen, time.time()))
        if comm.rank == 0:
            seen, ended = zip(*everywhere, strict=True)
            print(json.dumps({"stage": name, "seen": seen, "ended": max(ended)}), flush=True)


if __name__ == "__main__":
    main()
