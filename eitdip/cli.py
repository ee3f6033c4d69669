"""The command line: eitdip reconstruct | simulate | info."""

import os
import sys
import time
import tomllib
import traceback
from pathlib import Path

import click

from eitdip.errors import DivergenceError, EitdipError, FileFormatError, OptionError

EXIT_DONE, EXIT_BAD_INPUT, EXIT_DIVERGED, EXIT_INTERRUPTED = 0, 2, 3, 130
_PATH = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def app() -> None:
    """Electrical impedance tomography with finite elements and deep image priors."""


@app.command()
@click.argument("data", type=_PATH)
@click.option("--method", default=None, help="Default dip-tv; 'eitdip info' lists all.")
@click.option(
    "--out", type=_PATH, default=Path("results/reconstruct"), show_default=True, help="Folder for the results."
)
@click.option("--seed", type=int, default=None, help="Of network weights and latent tensor; default 0.")
@click.option("--config", type=_PATH, help="TOML file with method, seed and options; the command line wins.")
@click.option("--set", "pairs", metavar="KEY=VALUE", multiple=True, help="One option; may be repeated.")
@click.option("--reference", type=_PATH, help="Measurement of the empty tank; default: the one beside DATA.")
@click.option("--level", type=int, help="KTC2023 difficulty 1..7: which electrodes to leave out.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in the output folder.")
def reconstruct(data, method, out, seed, config, pairs, reference, level, resume) -> int:
    """Reconstruct the conductivity from DATA: a KTC2023 or KIT4 .mat, or eitdip's own .h5."""
    from eitdip import output, session
    from eitdip.data import load
    from eitdip.methods import options_for, prepare
    from eitdip.parallel import together, world

    comm = world()
    chosen = _settings(config, pairs)
    configured = chosen.pop("method", "dip-tv")
    method = method or configured
    if seed is not None:
        chosen["seed"] = seed
    options = options_for(method, chosen)
    with together(comm):
        measurements = load(data, reference=reference, level=level)
        if comm.rank == 0:
            output.check_folder(out)
    use_one_thread()
    problem = prepare(measurements, options, comm)
    solution = session.solve(problem, options, comm=comm, folder=out / "checkpoint", resume=resume)
    interrupted = solution.status == "interrupted"
    with together(comm):
        if comm.rank == 0 and not interrupted:
            summary = output.write(out, problem, solution, method, options)
            _say(_table(summary))
            _say(f"results: {out}")
    if interrupted:
        if comm.rank == 0:
            _say(f"interrupted after {solution.results[-1].iterations} steps; go on with --resume")
        return EXIT_INTERRUPTED
    return EXIT_DONE


@app.command()
@click.option("--out", type=_PATH, required=True, help="File to write, .h5.")
@click.option("--domain", default="disk", show_default=True, help="disk (radius 1 m) or tank (radius 0.14 m).")
@click.option("--phantom", default="three", show_default=True, help="A name, or a number that seeds a random one.")
@click.option("--model", default="dtn", show_default=True, help="dtn (Dirichlet-to-Neumann) or cem (electrodes).")
@click.option("--electrodes", type=int, default=16, show_default=True, help="Number of electrodes, for cem.")
@click.option("--noise", type=float, default=0.01, show_default=True, help="Relative noise.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the noise.")
def simulate(out, domain, phantom, model, electrodes, noise, seed) -> int:
    """Simulate measurements of a phantom on a fine curved mesh, with noise."""
    import numpy as np

    from eitdip.data import save
    from eitdip.errors import choose
    from eitdip.mesh import Tank
    from eitdip.parallel import together, world
    from eitdip.phantoms import phantom as make_phantom
    from eitdip.simulation import simulate_dirichlet, simulate_electrodes

    radius = choose("domain", domain, {"disk": 1.0, "tank": 0.14})
    choose("model", model, {"dtn": None, "cem": None})
    if out.suffix != ".h5":
        raise OptionError(f"out: got {out.name!r}, expected a file name ending in .h5")
    if not out.parent.is_dir():
        raise OptionError(f"out: folder {out.parent} does not exist; create it first")
    if model == "cem":
        tank = Tank(radius, electrodes, np.pi * radius / electrodes if electrodes else 0.0)
        measurements = simulate_electrodes(make_phantom(phantom), tank, noise=noise, seed=seed)
    elif radius != 1.0:
        raise OptionError("domain: model dtn works on the unit disk; use --domain disk or --model cem")
    else:
        measurements = simulate_dirichlet(make_phantom(phantom), noise=noise, seed=seed)
    comm = world()
    with together(comm):
        if comm.rank == 0:
            save(out, measurements)
            _say(f"wrote {out}: {measurements.count} measurements, phantom {phantom}, noise {noise:g}, seed {seed}")
    return EXIT_DONE


@app.command()
def info() -> int:
    """Versions, MPI, threads, GPU and methods: what a bug report needs."""
    import torch

    from eitdip.fem.linear_solver import CholeskySolver
    from eitdip.methods import METHODS
    from eitdip.output import versions
    from eitdip.parallel import cores_per_rank, world

    comm = world()
    cores = cores_per_rank()
    if comm.rank == 0:
        for name, version in versions().items():
            _say(f"{name:<22}{version}")
        _say(f"{'MPI ranks':<22}{comm.size}")
        _say(f"{'cores per rank':<22}{cores}")
        _say(f"{'direct solver':<22}{CholeskySolver.backend()}")
        _say(f"{'GPU':<22}{torch.cuda.get_device_name() if torch.cuda.is_available() else 'none'}")
        _say(f"{'methods':<22}{', '.join(METHODS)}")
    return EXIT_DONE


def use_one_thread() -> None:
    """One thread per rank for torch and BLAS, unless OMP_NUM_THREADS says otherwise.

    Networks of this size gain little from a second thread and lose much to it where other work runs
    (spinning threads; twenty times slower was seen), and one thread gives the same bits on any machine.
    """
    import torch
    from threadpoolctl import threadpool_limits

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
        threadpool_limits(1)


def _settings(config: Path | None, pairs: list[str]) -> dict:
    chosen = {}
    if config is not None:
        try:
            chosen = tomllib.loads(config.read_text())
        except OSError as error:
            raise FileFormatError(f"{config}: cannot be read ({error.strerror})") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise FileFormatError(f"{config}: not a TOML file ({error})") from error
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise OptionError(f"--set: got {pair!r}, expected KEY=VALUE")
        try:
            chosen[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            chosen[key] = value  # a bare word, such as unet
    return chosen


def _table(summary: dict) -> str:
    rows = {
        "status": summary["status"],
        "steps": " ".join(map(str, summary["iterations"])),
        "chi^2/N": f"{summary['chi2']:.4g}",
        "background": f"{summary['background']:.4g} S/m",
        "seconds": f"{summary['seconds']['total']:.1f} (finite elements {summary['seconds']['finite elements']:.1f})",
    }
    for name, value in (summary["metrics"] or {}).items():
        rows[name] = "-" if value is None else f"{value:.4g}"
    return "\n".join(f"{name:<18}{value}" for name, value in rows.items())


def _say(text: str) -> None:
    click.echo(text)


def run(command, *, name: str) -> int:
    """Run a command function under the rules for errors and ranks; returns the exit code.

    Known errors are one line on standard error, by rank 0. If only some ranks fail, the others may
    be waiting for them: then all are ended.
    """
    try:
        return command() or EXIT_DONE
    except DivergenceError as error:
        return _fail(f"{name}: diverged: {error}", EXIT_DIVERGED)
    except EitdipError as error:
        return _fail(f"{name}: error: {error}", EXIT_BAD_INPUT)
    except click.ClickException as error:
        return _fail(f"{name}: error: {error.format_message()}", EXIT_BAD_INPUT)
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except Exception:
        mpi = sys.modules.get("mpi4py.MPI")
        if mpi is not None and mpi.COMM_WORLD.size > 1:
            traceback.print_exc()  # a bug: show it, and do not let the other ranks wait
            mpi.COMM_WORLD.Abort(1)
        raise


def _fail(message: str, code: int) -> int:
    mpi = sys.modules.get("mpi4py.MPI")
    comm = mpi.COMM_WORLD if mpi else None
    if comm is None or comm.size == 1:
        click.echo(message, err=True)
        return code
    everyone = comm.Ibarrier()
    deadline = time.monotonic() + 3
    while not everyone.Test():
        if time.monotonic() > deadline:
            click.echo(f"rank {comm.rank}: {message}", err=True)
            comm.Abort(code)
        time.sleep(0.01)
    if comm.rank == 0:
        click.echo(message, err=True)
    return code


def main() -> None:
    """Entry point of the `eitdip` command."""
    sys.exit(run(lambda: app(standalone_mode=False), name="eitdip"))
