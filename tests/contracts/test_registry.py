"""No model and no operator escapes the contract tests."""

import importlib
import importlib.util
import inspect
import pkgutil

import pytest

import eitdip
from eitdip.errors import MissingPackageError
from eitdip.operator import ForwardModel, LinearOperator
from tests.contracts.imaging_registry import CASES
from tests.contracts.registry import MODELS, OPERATORS


def concrete_subclasses(base: type, package: str = "eitdip") -> set[type]:
    """All classes of a package below `base` that can be constructed."""
    found = set()
    for child in base.__subclasses__():
        found |= concrete_subclasses(child, package)
        if not inspect.isabstract(child) and child.__module__.partition(".")[0] == package:
            found.add(child)
    return found


def registered() -> set[type]:
    models = [case.make() for case in MODELS]
    imaging = [case.make(case.dtype, 0) for case in CASES if all(map(importlib.util.find_spec, case.needs))]
    return {type(item) for item in [*models, *(case.make() for case in OPERATORS), *imaging]}


def test_every_model_and_operator_of_the_package_has_a_case():
    for module in pkgutil.walk_packages(eitdip.__path__, "eitdip."):
        if module.name.rpartition(".")[2] == "__main__":
            continue
        try:
            importlib.import_module(module.name)
        except MissingPackageError:
            continue  # a room whose optional package is not installed here
    missing = concrete_subclasses(ForwardModel) - registered()
    names = sorted(f"{kind.__module__}.{kind.__qualname__}" for kind in missing)
    assert not names, f"add a case to tests/contracts/registry.py for: {', '.join(names)}"


def test_a_new_operator_would_be_noticed():
    class Unregistered(LinearOperator):
        __module__ = "elsewhere.operators"

        def __call__(self, x):
            return x

        def adjoint(self, y):
            return y

    assert Unregistered in concrete_subclasses(ForwardModel, "elsewhere") - registered()


@pytest.mark.parametrize("cases", [MODELS, OPERATORS], ids=["models", "operators"])
def test_names_are_unique(cases):
    names = [case.name for case in cases]
    assert len(set(names)) == len(names)
