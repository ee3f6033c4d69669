"""Grids of 2 x 2 ranks, more of them than MPI has communicators; usage: mpiexec -n 4 python run_layouts.py"""

from eitdip.ranks.collectives import Layout, world


def main() -> None:
    comm = world()
    for _ in range(2500):
        layout = Layout.of(comm, 2)
        assert (layout.mesh.size, layout.patterns.size) == (2, 2)
    for _ in range(1500):  # of communicators that are freed, as those of teams
        inner = comm.Dup()
        layout = Layout.of(inner, 2)
        assert sum(layout.patterns.allgather(layout.mesh.allreduce(comm.rank))) == 6
        inner.Free()
    if comm.rank == 0:
        print("done")


if __name__ == "__main__":
    main()
