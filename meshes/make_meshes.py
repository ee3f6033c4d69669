"""Make the small meshes of this folder, and check that each is read back as it was made.

    python meshes/make_meshes.py [--out meshes]

The files are those of gmsh (format 2.2, text), with lengths in m. Physical groups of the
boundary lines (of a solid triangles) are named gap, electrode_1, electrode_2, ...
"""

import argparse
from pathlib import Path

import numpy as np

from eitdip.data.ktc2023 import TANK as KTC2023
from eitdip.mesh import Ball, Cylinder, Domain, Tank, disk, read_domain, write_domain

MESHES = {
    "disk": lambda: disk(radius=1.0, h=0.1),
    "disk_curved": lambda: disk(radius=1.0, h=0.1, degree=2),
    "tank16": lambda: Tank(radius=0.14, electrodes=16, width=0.0275).mesh(0.012),
    "ktc2023": lambda: KTC2023.mesh(0.006),
    "ball": lambda: Ball(radius=1.0).mesh(0.25),
    "cylinder16": lambda: Cylinder(0.14, 0.14, rings=2, electrodes=8, width=0.055, electrode_height=0.04).mesh(0.03),
}


def check(written: Domain, read: Domain) -> None:
    """Fail if a domain was changed by its file."""
    for name in ("points", "cells", "facets", "facet_tags"):
        assert np.array_equal(getattr(written, name), getattr(read, name)), f"{name} changed in the file"
    assert written.hash == read.hash


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).resolve().parent
    parser.add_argument("--out", type=Path, default=here, help="default: this folder")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    rows = [f"{'file':<18}{'nodes':>7}{'cells':>7}{'facets':>7}{'L':>4}{'kB':>6}  hash"]
    for name, make in MESHES.items():
        domain, path = make(), out / f"{name}.msh"
        write_domain(path, domain)
        check(domain, read_domain(path))
        counts = len(domain.points), len(domain.cells), len(domain.facets)
        size = path.stat().st_size / 1000
        numbers = "".join(f"{count:>7}" for count in counts) + f"{domain.electrode_count:>4}{size:>6.0f}"
        rows.append(f"{path.name:<18}{numbers}  {domain.hash}")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
