"""Would the tests notice? Breaks numeric code in one place at a time and runs the tests that belong to it.

    python tools/mutants.py [--share 0.1] [--seed 0] [--limit 300] PATH...

Each mutant is made in a copy of the project, which is removed at the end. It is killed if a test fails or the tests run
longer than the limit. The tests that run the broken line come first, the quickest of them before the others. One that
survives is either no fault (another way to compute the same number, a matter of speed) or a hole in the tests.
Messages, docstrings and annotations stay as they are. A seed draws the same mutants of a code.
"""

import argparse
import ast
import importlib
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
_INSTRUMENT = [f"tests/problems/test_{name}.py" for name in ("instrument", "reference", "grounding")]
# The tests of a room, or of a file, if they are not just those in the folder of the same name.
TESTS = {
    "eitdip/classical": ["tests/classical", "tests/imaging/test_pet.py"],
    "eitdip/problems/in": _INSTRUMENT,
    "eitdip/problems/grounding": _INSTRUMENT,
}
_HEAVY = ("numpy", "scipy.sparse.linalg", "torch", "pytest")  # imported once, not for each mutant
_LEFT_OUT = (".git", ".venv", ".bench-venv", "results", "__pycache__", ".pytest_cache", ".ruff_cache")

_SWAPPED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
_OPPOSITE = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum"}


class Mutant(NamedTuple):
    """A file, from the root, with one change."""

    path: str
    line: int
    end: int
    before: str
    after: str
    source: str


def mutants(path: str, source: str) -> list[Mutant]:
    """Every mutant of a file, in the order of its code."""
    tree, found = ast.parse(source), []
    for place, node in enumerate(_numeric(tree)):
        for choice in range(len(_changes(node))):
            broken = deepcopy(tree)
            other = list(_numeric(broken))[place]
            after = _changes(other)[choice]
            text = ast.unparse(ast.fix_missing_locations(_Replace(other, after).visit(broken)))
            before, after = (ast.unparse(each).splitlines()[0] for each in (node, after))
            end = (node.test if isinstance(node, ast.If) else node).end_lineno
            found.append(Mutant(path, node.lineno, end, before, after, text))
    return found


def _numeric(node: ast.AST):
    """The nodes below one that decide numbers."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "bases", "type_params") or isinstance(node, ast.Raise):
            continue
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                yield child
                yield from _numeric(child)


def _changes(node: ast.AST) -> list[ast.AST]:
    """What may stand in the place of a node."""
    match node:
        case ast.BinOp(left=left, op=op):
            swapped = [_with(node, op=_SWAPPED[type(op)]())] if type(op) in _SWAPPED else []
            return swapped + [left] * isinstance(op, ast.Add | ast.Sub | ast.Mult | ast.Div)  # a term dropped
        case ast.AugAssign(op=op) if type(op) in _SWAPPED:
            return [_with(node, op=_SWAPPED[type(op)]())]
        case ast.Compare(ops=[op, *more]) if type(op) in _SWAPPED:
            return [_with(node, ops=[_SWAPPED[type(op)](), *more])]
        case ast.BoolOp(op=op):
            return [_with(node, op=_SWAPPED[type(op)]())]
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert(), operand=operand):
            return [operand]
        case ast.Constant(value=value) if type(value) in (int, float):
            return [ast.Constant(value + 1 if isinstance(value, int) else 1.1 * value or 1.0)]
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return []
        case ast.If(test=test) | ast.IfExp(test=test) if not isinstance(test, ast.UnaryOp):
            return [_with(node, test=ast.UnaryOp(ast.Not(), test))]
        case ast.Name(id=name) if name in _OPPOSITE:
            return [ast.Name(_OPPOSITE[name], node.ctx)]
        case ast.Attribute(attr=name) if name in _OPPOSITE:
            return [_with(node, attr=_OPPOSITE[name])]
        case ast.keyword(arg=name) if name in _OPPOSITE:
            return [_with(node, arg=_OPPOSITE[name])]
    return []


def _with(node: ast.AST, **changes) -> ast.AST:
    return type(node)(**{name: getattr(node, name, None) for name in node._fields} | changes)


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST):
        self.old, self.new = old, new

    def visit(self, node):
        return self.new if node is self.old else self.generic_visit(node)


def test_files(path: str, root: Path) -> list[str]:
    """Test files of the room of a module."""
    room = path.split("/")[1].removesuffix(".py")
    folders = next((tests for prefix, tests in TESTS.items() if path.startswith(prefix)), [f"tests/{room}"])
    patterns = [tests if tests.endswith(".py") else f"{tests}/**/test_*.py" for tests in folders]
    return sorted(str(file.relative_to(root)) for pattern in patterns for file in root.glob(pattern))


class Reached(NamedTuple):
    """What a test took and which lines it ran, in its own body or, for all tests of its file, in fixtures."""

    seconds: float
    lines: set[tuple[str, int]]


def chosen_tests(mutant: Mutant, reached: dict[str, Reached]) -> list[str]:
    """All tests of the files with a test that runs the broken lines; those that do first, the quickest first of all.

    All tests if none does: what runs at the import is run by all. The other tests of a file count because what one of
    them makes (a fixture, a cached result) is used by the next.
    """
    lines = {(mutant.path, line) for line in range(mutant.line, mutant.end + 1)}
    touched = {test: not lines.isdisjoint(each.lines) for test, each in reached.items()}
    files = {test.split("::")[0] for test, does in touched.items() if does}
    tests = [test for test in reached if test.split("::")[0] in files] or list(reached)
    return sorted(tests, key=lambda test: (not touched[test], reached[test].seconds))


def watch(root: Path, files: list[str], limit: float) -> dict[str, Reached]:
    """Run tests while nothing is broken."""
    outcome = _apart(_watch, limit, root, files)
    if not isinstance(outcome, dict):
        sys.exit(f"mutants: the tests fail before anything is broken ({outcome}); mend them first")
    return outcome


def run(root: Path, tests: list[str], limit: float) -> str:
    """Run tests: "passed", "timeout", or the name of the first test that failed."""
    return _apart(_test, limit, root, tests)


def _apart(function, limit: float, *arguments):
    """What a function sends, run in a process of its own."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=function, args=(*arguments, sender))
    process.start()
    sender.close()
    try:
        outcome = receiver.recv() if receiver.poll(limit) else "timeout"
    except EOFError:
        process.join()
        return f"exit code {process.exitcode}"
    if outcome == "timeout":
        os.killpg(process.pid, signal.SIGKILL)
    process.join()
    return outcome


def _watch(root: Path, files: list[str], sender) -> None:
    seconds, lines, setups, failed = {}, {}, {}, []
    monitoring, now = sys.monitoring, []  # now: the sets that collect lines

    def line(code, number):
        if now and code.co_filename.startswith(f"{root}/eitdip/"):
            now[0].add((str(Path(code.co_filename).relative_to(root)), number))
        return monitoring.DISABLE  # until the next restart

    class Watch:
        @staticmethod
        def pytest_runtest_logstart(nodeid):
            now[:] = [setups.setdefault(nodeid.split("::")[0], set())]
            monitoring.restart_events()

        @staticmethod
        def pytest_runtest_call(item):
            now[:] = [lines.setdefault(item.nodeid, set())]
            monitoring.restart_events()

        @staticmethod
        def pytest_runtest_logreport(report):
            if report.failed:
                failed.append(report.nodeid)
            if report.when == "call" and report.passed:
                seconds[report.nodeid] = report.duration
            now.clear()

    monitoring.use_tool_id(monitoring.COVERAGE_ID, "mutants")
    monitoring.register_callback(monitoring.COVERAGE_ID, monitoring.events.LINE, line)
    monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.LINE)
    code = _pytest(root, files, Watch(), bytecode=True)
    every = {test: Reached(took, lines[test] | setups[test.split("::")[0]]) for test, took in seconds.items()}
    sender.send(every if code == 0 else failed[0] if failed else f"exit code {int(code)}")


def _test(root: Path, tests: list[str], sender) -> None:
    failed, rank = [], {test: place for place, test in enumerate(tests)}

    class Watch:
        @staticmethod
        def pytest_collection_modifyitems(items):
            items[:] = sorted((item for item in items if item.nodeid in rank), key=lambda item: rank[item.nodeid])

        @staticmethod
        def pytest_runtest_logreport(report):
            if report.failed:
                failed.append(report.nodeid)

    code = _pytest(root, sorted({test.split("::")[0] for test in tests}), Watch(), bytecode=False)
    sender.send("passed" if code == 0 else failed[0] if failed else f"exit code {int(code)}")


def _pytest(root: Path, files: list[str], plugin, bytecode: bool) -> int:
    import pytest

    os.setpgrp()  # what tests start ends with them
    sys.dont_write_bytecode = not bytecode
    os.chdir(root)
    sys.path.insert(0, str(root))
    os.environ["PYTHONPATH"] = str(root)  # of processes that tests start
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    return pytest.main(["-x", "-q", "-p", "no:cacheprovider", *files], plugins=[plugin])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", metavar="PATH", help="files or folders of eitdip")
    parser.add_argument("--share", type=float, default=0.1, help="of all mutants that are tried (default 0.1)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--limit", type=float, default=300, help="seconds for the tests of one mutant (default 300)")
    arguments = parser.parse_args()
    paths = map(Path, arguments.paths)
    files = sorted({file for path in paths for file in ([path] if path.is_file() else path.rglob("*.py"))})
    every = [made for f in files for made in mutants(f.resolve().relative_to(ROOT).as_posix(), f.read_text())]
    chosen = random.Random(arguments.seed).sample(range(len(every)), max(1, round(arguments.share * len(every))))
    for name in _HEAVY:
        importlib.import_module(name)
    verdicts = {"killed": 0, "timeout": 0, "survived": 0}
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "project"
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        rooms = {tuple(test_files(every[i].path, root)) for i in chosen}
        reached = {files: watch(root, list(files), 10 * arguments.limit) for files in rooms}
        for number, mutant in enumerate((every[i] for i in sorted(chosen)), start=1):
            file = root / mutant.path
            source = file.read_text()
            file.write_text(mutant.source)
            Path(importlib.util.cache_from_source(str(file))).unlink(missing_ok=True)
            took = reached[tuple(test_files(mutant.path, root))]
            tests = chosen_tests(mutant, took)
            limit = min(arguments.limit, 30 + 10 * sum(took[test].seconds for test in tests))
            outcome = run(root, tests, limit)
            file.write_text(source)
            verdict = {"passed": "survived", "timeout": "timeout"}.get(outcome, "killed")
            verdicts[verdict] += 1
            where = f"{number}/{len(chosen)} {mutant.path}:{mutant.line}"
            print(f"{verdict:8} {where}: {mutant.before} -> {mutant.after}  [{outcome}]", flush=True)
    print(f"{len(chosen)} of {len(every)} mutants: {verdicts}; {1 - verdicts['survived'] / len(chosen):.0%} killed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
