"""Runs a worker over many inputs; where one kills it, that is noted and the next ones follow in a new process."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
KINDS = ("mat", "h5", "mesh", "npy", "npz", "picture", "csv", "checkpoint", "toml")


@dataclass
class Report:
    """What became of the inputs.

    Args:
        outcomes: How often each, by kind of file.
        faults: Number, kind, sample and what is wrong.
        slowest: Seconds of the slowest input.
        growth: Bytes by which the largest memory grew most through one input.
    """

    outcomes: dict[str, Counter] = field(default_factory=dict)
    faults: list[tuple[int, str, str, str]] = field(default_factory=list)
    slowest: float = 0.0
    growth: int = 0

    @property
    def count(self) -> int:
        """Of inputs."""
        return sum(sum(each.values()) for each in self.outcomes.values())

    def add(self, begun: dict, outcome: str, seconds: float = 0.0, growth: int = 0) -> None:
        """Note one input."""
        short = "FAULT" if outcome.startswith("FAULT") else outcome
        self.outcomes.setdefault(begun["kind"], Counter())[short] += 1
        if short == "FAULT":
            self.faults.append((begun["begun"], begun["kind"], begun["sample"], outcome))
        self.slowest, self.growth = max(self.slowest, seconds), max(self.growth, growth)

    def words(self) -> str:
        """For people."""
        lines = [f"{kind:11} {sum(each.values()):6}  {dict(each)}" for kind, each in self.outcomes.items()]
        lines += [f"slowest {self.slowest:.2f} s, memory grew by at most {self.growth / 2**20:.0f} MiB"]
        return "\n".join([*lines, *map(str, self.faults)])


def campaign(folder: Path, first: int, last: int, kinds: tuple[str, ...] = KINDS) -> Report:
    """Damage and open the inputs first, ..., last - 1 of the kinds in turn."""
    report = Report()
    while first < last:
        command = [sys.executable, "-m", "tests.fuzz.worker", str(folder), str(first), str(last), ",".join(kinds)]
        env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
        with (folder / "errors.txt").open("w+") as errors:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=env, cwd=ROOT)
            errors.seek(0)
            said = errors.read()
        begun = None
        for line in map(json.loads, done.stdout.splitlines()):
            if "begun" in line:
                begun = line
            else:
                report.add(begun, line["outcome"], line["seconds"], line["growth"])
                first = line["done"] + 1
                begun = None
        if begun is not None:
            where = said[max(0, said.rfind("most recent call first")) :][:700]
            report.add(begun, f"FAULT the process ended with {done.returncode}: {where}")
            first = begun["begun"] + 1
        elif first < last:
            raise RuntimeError(f"the worker ended with {done.returncode} before input {first}:\n{said}")
    return report


if __name__ == "__main__":
    print(campaign(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), tuple(sys.argv[4].split(","))).words())
