"""Who may import whom, what an import may load, and the size and manners of modules."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median

import pytest

import eitdip

PACKAGE = Path(eitdip.__file__).parent

# Rooms from the ground up: a room may import rooms of earlier rows, and itself. With what a row is about.
LAYERS = [
    ({"__init__", "errors"}, "plain Python"),
    ({"operator", "settings", "cost", "writing"}, "plain Python or numpy"),
    ({"ranks", "verify"}, "how ranks work together"),
    ({"mesh", "imaging", "networks", "phantoms", "metrics", "plot", "theory"}, "none knows another"),
    ({"fem", "data"}, "solvers without torch, data without solvers"),
    ({"parameterization"}, "weights to fields"),
    ({"objective"}, "what is minimized"),
    ({"reconstruction"}, "the loop"),
    ({"classical", "neural_pde"}, "what is not a loop over weights, or is no finite elements"),
    ({"supervised", "spectrum"}, "learned from pairs; what a network can show"),
    ({"problems"}, "where finite elements and images meet the rest"),
    ({"pretraining", "uncertainty"}, "before and after a reconstruction"),
    ({"methods"}, "names become objects"),
    ({"runs"}, "sessions, comparisons, files"),
    ({"cli"}, "knows everything"),
    ({"challenges", "__main__"}, ""),
]
LEVEL = {room: level for level, (rooms, _) in enumerate(LAYERS) for room in rooms}

# Packages that belong to few rooms; every other room must do without them, also inside functions.
OWNERS = {
    "torch": {
        "ranks", "networks", "imaging", "theory", "parameterization", "objective", "reconstruction", "classical",
        "neural_pde", "supervised", "spectrum", "problems", "pretraining", "uncertainty", "methods", "runs", "cli",
        "challenges",
    },
    "dolfinx": {"fem"},
    "dolfinx_solver": {"fem"},
    "basix": {"fem"},
    "ufl": {"fem"},
    "petsc4py": {"fem"},
    "mpi4py": {"ranks"},
    "meshio": {"mesh"},
    "gmsh": {"mesh"},
    "h5py": {"data", "mesh"},
    "jinja2": {"runs"},
    "matplotlib": {"plot"},
    "safetensors": {"parameterization", "reconstruction", "pretraining"},
    "typer": {"cli"},
    "click": {"cli", "challenges"},
}  # fmt: skip

# Rooms that only some may enter, though their row would let them: what is true of tanks and of images knows neither.
DOORS = {
    "fem": {"eitdip.problems.bodies", "eitdip.problems.simulate_bodies", "eitdip.problems.simulate_transfer"},
    "imaging": {"objective", "classical", "supervised", "problems", "methods"},  # objective: operators on tensors
}

LOOSE = {"__init__", "__main__", "errors", "operator", "verify", "cost", "settings", "writing"}


@cache
def modules() -> tuple[Path, ...]:
    return tuple(sorted(PACKAGE.rglob("*.py")))


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
def known_names() -> frozenset[str]:
    return frozenset(dotted(path) for path in modules())


@cache
def imports(path: Path) -> frozenset[str]:
    """Dotted names of all modules that a file imports, at the top or inside functions."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import in line {node.lineno}; write it out"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in known_names() else node.module)
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


@every_module
def test_few_know_the_models(path):
    """A method that works on tanks and on sinograms sees a problem, not finite elements or an operator of images."""
    here = dotted(path)
    for name in imports(path):
        allowed = DOORS.get(room(name)) if name.startswith("eitdip.") and room(name) != room(here) else None
        assert allowed is None or here in allowed or room(here) in allowed, f"{here} imports {name}"


def test_nothing_lies_loose():
    loose = {path.stem for path in PACKAGE.glob("*.py")}
    assert loose <= LOOSE, f"give {sorted(loose - LOOSE)} a room"


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
    assert imports(PACKAGE / "fem" / "spaces.py") >= {"dolfinx", "eitdip.mesh.domain", "eitdip.ranks.collectives"}


FEM = {"dolfinx", "petsc4py", "mpi4py", "basix"}
HEAVY = {"matplotlib", "deepinv", "astra", "finufft", "meshio", "gmsh", "typer"} | FEM


@pytest.mark.parametrize(
    ("names", "absent"),
    [
        ("eitdip", {"numpy", "torch", "h5py"} | HEAVY),
        ("eitdip.errors", {"numpy", "torch"} | HEAVY),
        ("eitdip.operator, eitdip.settings, eitdip.cost, eitdip.writing", {"scipy", "torch"} | HEAVY),
        ("eitdip.mesh", {"torch"} | HEAVY - {"meshio"}),
        ("eitdip.fem", {"torch", "matplotlib", "gmsh"}),
        ("eitdip.ranks.collectives, eitdip.ranks.threads, eitdip.ranks.teams", {"torch"} | HEAVY),
        ("eitdip.metrics, eitdip.phantoms", {"torch"} | HEAVY),
        ("eitdip.plot", {"torch", "h5py"} | HEAVY - {"matplotlib"}),
        ("eitdip.data", {"scipy", "torch", "h5py"} | HEAVY),
        ("eitdip.data.pet, eitdip.data.mri, eitdip.data.fips, eitdip.data.htc2022", {"torch", "h5py"} | HEAVY),
        ("eitdip.networks", {"scipy"} | HEAVY),
        ("eitdip.imaging, eitdip.reconstruction, eitdip.theory, eitdip.classical.normal", HEAVY),
        ("eitdip.problems.images, eitdip.problems.scans, eitdip.methods.build", HEAVY - {"meshio"}),
    ],
)
def test_an_import_leaves_alone_what_it_does_not_need(names, absent, python):
    code = f"import sys, {names}; print(*sorted({absent!r} & set(sys.modules)))"
    loaded = python(code).split()
    assert not loaded, f"import {names} loads {loaded}"


def test_images_need_no_finite_elements_and_no_mpi(python):
    """All but the models of bodies works where neither DOLFINx nor MPI is installed."""
    bodies = DOORS["fem"] | {"eitdip.challenges.ktc2023", "eitdip.challenges.ktc2023_training"}
    names = [dotted(path) for path in modules() if path.stem != "__main__" and room(dotted(path)) != "fem"]
    names = [name for name in names if name not in bodies]
    python(
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({sorted(FEM | {'mpi4py.MPI', 'dolfinx_solver', 'ufl'})!r}))\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "import numpy\n"
        "from eitdip.imaging import denoising\n"
        "from eitdip.ranks.collectives import from_root, world\n"
        "assert from_root(3, world()) == 3 and world().size == 1\n"
        "assert denoising((4, 4))(numpy.ones((4, 4))).shape == (4, 4)\n"
    )


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
    with pytest.raises(AttributeError, match=r"no attribute 'kitchen'; .* its rooms are: challenges"):
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
    assert len(path.read_text().splitlines()) <= 300, "split the module"
    assert path.stem not in {"utils", "util", "helpers", "helper", "common", "misc"}


def test_most_modules_are_short():
    assert median(len(path.read_text().splitlines()) for path in modules()) <= 120


@every_module
def test_nothing_is_printed(path):
    if room(dotted(path)) in {"cli", "challenges"}:
        return
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"line {node.lineno} prints; return the value or raise"


@every_module
def test_the_world_communicator_is_named_once(path):
    if room(dotted(path)) == "ranks" or dotted(path) == "eitdip.cli.exits":  # a failing command must abort all ranks
        return
    for node in ast.walk(tree(path)):
        named = getattr(node, "attr", None) == "COMM_WORLD" or getattr(node, "id", None) == "COMM_WORLD"
        assert not named, f"line {node.lineno}: use eitdip.ranks.collectives.world()"


@every_module
def test_randomness_is_explicit(path):
    """No global generators: only default_rng(seed), Generator() and functions that take a generator."""
    if dotted(path) == "eitdip.uncertainty.cuqi":  # CUQIpy draws from NumPy's global one, which is given back as it was
        return
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            assert not name.startswith("np.random.") or name.startswith(
                ("np.random.default_rng", "np.random.Generator", "np.random.SeedSequence")
            ), f"line {node.lineno}: {name}"
            assert name not in {"torch.manual_seed", "torch.seed", "random.seed", "random.random"}, (
                f"line {node.lineno}"
            )


@cache
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
