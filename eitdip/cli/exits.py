"""How a command ends: exit codes, known errors as one line, all ranks together."""

import sys
import traceback

import click

from eitdip.errors import DivergenceError, EitdipError
from eitdip.ranks.failures import all_failed, end_all

EXIT_DONE, EXIT_BAD_INPUT, EXIT_DIVERGED, EXIT_INTERRUPTED = 0, 2, 3, 130


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
            end_all(traceback.format_exc(), 1)  # a bug: show it, and do not let the other ranks wait
        raise


def _fail(message: str, code: int) -> int:
    mpi = sys.modules.get("mpi4py.MPI")
    comm = mpi.COMM_WORLD if mpi else None
    if comm is None or comm.size == 1:
        click.echo(message, err=True)
        return code
    if not all_failed(comm):
        end_all(message, code)
    if comm.rank == 0:
        click.echo(message, err=True)
    return code
