"""All figures of speed and memory: python -m benchmarks [--only NAME ...] [--sizes 2000,10000] [--quick].

Writes bench.json and the table bench.md to results/. docs/benchmarks.md says what is compared with what, and how.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from benchmarks.speed import against, automatic, derivatives, inside, kernels, limit, memory, solids
from benchmarks.speed.measure import machine
from benchmarks.speed.problems import QUICK, Settings
from benchmarks.speed.report import HEAD, Check, write

# Memory comes first, while the process is small: growth is measured in percent of its size.
_MODULES = (memory, against, automatic, limit, inside, kernels, solids, derivatives)
PARTS = {module.PART: module.run for module in _MODULES}


def measure(names: list[str], settings: Settings, folder: Path) -> list[Check]:
    """Run some parts; print each row when it is there and write the files after each part."""
    facts = machine()
    print(f"{facts['cpu']}, one thread, {facts['clock']}\n\n{HEAD}", flush=True)
    checks: list[Check] = []
    for name in names:
        for check in PARTS[name](settings):
            checks.append(check)
            print(check.row(), flush=True)
        write(checks, facts, folder)
    return checks


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--sizes", help="nodes of the plane meshes, comma-separated")
    parser.add_argument("--quick", action="store_true", help="tiny meshes, one repetition, no peers: does it run?")
    parser.add_argument("--out", type=Path, default=Path("results"))
    arguments = parser.parse_args(words)
    settings = QUICK if arguments.quick else Settings()
    if arguments.sizes:
        sizes = tuple(int(size) for size in arguments.sizes.split(","))
        settings = replace(settings, sizes=sizes)
    checks = measure(arguments.only, settings, arguments.out)
    asked = [check for check in checks if check.met is not None]
    print(f"\n{sum(check.met for check in asked)} of {len(asked)} met")


if __name__ == "__main__":
    main()
