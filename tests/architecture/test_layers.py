"""Who may import whom, what an import may load, and the size and manners of modules."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import eitdip

PACKAGE = Path(eitdip.__file__).parent

# Rooms from the ground up: a room may import rooms of earlier rows, and itself. With what a row may load.
LAYERS = [
    ({"__init__", "errors"}, "plain Python"),
    ({"operator", "atomic", "configure"}, "plain Python or numpy"),
    (
        {"verify", "parallel", "timing", "calibration", "phantoms", "metrics", "plot"},
        "numpy, or one package each",
    ),
    ({"teams", "interruption", "threads", "memory"}, "how ranks work together"),
    ({"mesh", "networks", "imaging"}, "meshes without torch, networks without DOLFINx"),
    ({"fem", "data", "bridge", "parameterization", "misfit", "penalty", "images"}, "DOLFINx or torch, never both"),
    ({"objective", "simulation", "truth"}, ""),
    ({"reconstruction", "baselines", "pretraining", "uncertainty", "theory"}, ""),
    ({"supervised"}, "learned from pairs, for comparison"),
    ({"options"}, "names"),
    ({"restoration"}, "linear tasks, without DOLFINx and MPI"),
    ({"generators", "neural_pde"}, "names become objects"),
    ({"methods"}, "names become objects"),
    ({"session"}, ""),
    ({"output"}, ""),
    ({"batch"}, ""),
    ({"compare"}, ""),
    ({"report"}, ""),
    ({"exits"}, "how commands end"),
    ({"cli"}, "knows everything"),
    ({"challenges", "__main__"}, ""),
]
LEVEL = {room: level for level, (rooms, _) in enumerate(LAYERS) for room in rooms}

# Packages that belong to few rooms; every other room must do without them, also inside functions.
OWNERS = {
    "torch": {
        "networks", "imaging", "images", "restoration", "supervised", "bridge", "parameterization", "misfit", "penalty",
        "objective", "reconstruction", "baselines", "pretraining", "uncertainty", "theory", "options", "generators",
        "neural_pde", "methods", "session", "output", "threads", "cli", "challenges",
    },
    "dolfinx": {"fem"},
    "dolfinx_solver": {"fem"},
    "basix": {"fem"},
    "ufl": {"fem"},
    "petsc4py": {"fem"},
    "mpi4py": {"parallel"},
    "meshio": {"mesh"},
    "gmsh": {"mesh"},
    "h5py": {"data"},
    "jinja2": {"report"},
    "matplotlib": {"plot"},
    "safetensors": {"reconstruction"},
    "typer": {"cli"},
    "click": {"cli", "exits", "challenges"},
}  # fmt: skip


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    """eitdip/fem/spaces.py -> eitdip.fem.spaces, a package's __init__.py -> the package."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports(path: Path) -> frozenset[str]:
    """Dotted names of all modules that a file imports, at the top or inside functions."""
    known, found = {dotted(item) for item in modules()}, set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import in line {node.lineno}; write it out"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in known else node.module)
    return frozenset(found)


every_module = pytest.mark.parametrize("path", modules(), ids=dotted)


@every_module
def test_a_room_imports_only_rooms_below(path):
    here = room(dotted(path))
    assert here in LEVEL, f"give the new room {here!r} a place in LAYERS"
    for name in imports(path):
        there = room(name)
        if name.partition(".")[0] == "eitdip" and there != here:
            assert LEVEL[there] < LEVEL[here], f"{dotted(path)} imports {name}, which is not below it"


@every_module
def test_packages_stay_in_their_rooms(path):
    here = room(dotted(path))
    for name in imports(path):
        owners = OWNERS.get(name.partition(".")[0])
        assert owners is None or here in owners, f"{dotted(path)} imports {name}; only {sorted(owners)} may"


def test_there_are_no_cycles():
    graph = {dotted(path): {name for name in imports(path) if name.startswith("eitdip")} for path in modules()}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {' -> '.join(error.args[1])}")
    assert len(order) >= len(graph)


def test_the_checks_see_what_they_should(tmp_path):
    """A checker that finds nothing anywhere would pass too."""
    file = tmp_path / "wrong.py"
    file.write_text("import torch.nn\ndef f():\n    from eitdip import cli\n    from eitdip.fem import spaces\n")
    assert imports(file) == {"torch.nn", "eitdip.cli", "eitdip.fem.spaces"}
    assert room("eitdip.fem.spaces") == "fem" and room("eitdip") == "__init__"
    assert imports(PACKAGE / "fem" / "spaces.py") >= {"dolfinx", "eitdip.mesh.domain", "eitdip.parallel"}


FEM = {"dolfinx", "petsc4py", "mpi4py", "basix"}


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("eitdip", {"numpy", "torch", "matplotlib", "h5py", "meshio", "gmsh", "typer"} | FEM),
        ("eitdip.errors", {"numpy", "torch"} | FEM),
        ("eitdip.operator", {"scipy", "torch"} | FEM),
        ("eitdip.mesh", {"torch", "gmsh"} | FEM),
        ("eitdip.fem", {"torch", "matplotlib", "gmsh"}),
        ("eitdip.data", {"torch", "matplotlib"} | FEM),
        ("eitdip.networks", {"matplotlib", "scipy"} | FEM),
        ("eitdip.reconstruction", {"matplotlib", "meshio"} | FEM),
        ("eitdip.imaging", {"matplotlib", "deepinv", "astra", "finufft"} | FEM),
        ("eitdip.restoration", {"matplotlib", "deepinv", "astra", "finufft"} | FEM),
        ("eitdip.theory", {"matplotlib"} | FEM),
        ("eitdip.metrics", {"torch", "matplotlib"} | FEM),
    ],
)
def test_an_import_leaves_alone_what_it_does_not_need(name, absent, python):
    code = f"import sys, {name}; print(*sorted({absent!r} & set(sys.modules)))"
    loaded = python(code).split()
    assert not loaded, f"import {name} loads {loaded}"


def test_rooms_are_loaded_when_they_are_named(python):
    code = (
        "import sys, eitdip\n"
        "assert 'eitdip.errors' not in sys.modules\n"
        "print(eitdip.errors.ShapeError.__name__, 'eitdip.errors' in sys.modules, *dir(eitdip))"
    )
    name, loaded, *names = python(code).split()
    assert (name, loaded) == ("ShapeError", "True")
    assert {"fem", "mesh", "networks", "__version__"} <= set(names)
    for listed in eitdip._ROOMS:
        assert (PACKAGE / listed).is_dir() or (PACKAGE / f"{listed}.py").is_file(), f"room {listed!r} does not exist"
    with pytest.raises(AttributeError, match="no attribute 'kitchen'; its rooms are: bridge"):
        eitdip.kitchen  # noqa: B018


def test_importing_everything_touches_no_random_state_and_no_settings(python):
    """Nothing happens at import: no seeds, default types, thread counts or error states."""
    names = [dotted(path) for path in modules() if path.stem != "__main__"]
    code = (
        "import importlib, numpy, torch\n"
        "def state():\n"
        "    seeds = numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()\n"
        "    return seeds, torch.get_default_dtype(), torch.get_num_threads(), numpy.geterr()\n"
        "before = state()\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "assert state() == before\n"
    )
    python(code)


@every_module
def test_size_and_name(path):
    assert len(path.read_text().splitlines()) <= 400, "split the module"
    assert path.stem not in {"utils", "util", "helpers", "helper", "common", "misc"}


@every_module
def test_nothing_is_printed(path):
    if room(dotted(path)) in {"cli", "challenges"}:
        return
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"line {node.lineno} prints; return the value or raise"


@every_module
def test_the_world_communicator_is_named_once(path):
    if room(dotted(path)) in {"parallel", "exits"}:  # a failing command must be able to abort all ranks
        return
    for node in ast.walk(tree(path)):
        named = getattr(node, "attr", None) == "COMM_WORLD" or getattr(node, "id", None) == "COMM_WORLD"
        assert not named, f"line {node.lineno}: use eitdip.parallel.world()"


@every_module
def test_randomness_is_explicit(path):
    """No global generators: only default_rng(seed), Generator() and functions that take a generator."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            assert not name.startswith("np.random.") or name.startswith(
                ("np.random.default_rng", "np.random.Generator", "np.random.SeedSequence")
            ), f"line {node.lineno}: {name}"
            assert name not in {"torch.manual_seed", "torch.seed", "random.seed", "random.random"}, (
                f"line {node.lineno}"
            )


def documented_methods() -> set[str]:
    """Names of methods that some class of the package documents: an override may inherit its docstring."""
    return {
        method.name
        for path in modules()
        for owner in ast.walk(tree(path))
        if isinstance(owner, ast.ClassDef)
        for method in owner.body
        if isinstance(method, ast.FunctionDef) and ast.get_docstring(method)
    }


@every_module
def test_public_names_are_documented(path):
    inherited, missing = documented_methods(), []
    if path.read_text().strip() and not ast.get_docstring(tree(path)):
        missing.append("the module")
    for node in tree(path).body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            missing.append(node.name)
        for method in node.body if isinstance(node, ast.ClassDef) else []:
            if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                overrides = bool(node.bases) and method.name in inherited
                if not ast.get_docstring(method) and not overrides:
                    missing.append(f"{node.name}.{method.name}")
    assert not missing, f"{dotted(path)}: no docstring on {', '.join(missing)}"
