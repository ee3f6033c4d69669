"""Every generator of conductivities gives the same on one and on two ranks."""

from pathlib import Path

import numpy as np
import pytest

from eitdip.data import save
from eitdip.ranks.collectives import alone
from tests.cases.measurements import cem, cylinder, problem, same
from tests.cases.pretrained import weights_for
from tests.parallel.run_generators import SIZES, generators, solve_all

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def runs(mpiexec, tmp_path_factory) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Conductivities on one and on two ranks."""
    pytest.importorskip("gmsh", exc_type=(ImportError, OSError))
    folder = tmp_path_factory.mktemp("generators")
    save(folder / "plane.h5", cem())
    save(folder / "solid.h5", cylinder())
    weights_for(problem("cem", h=SIZES["plane"][0]), answer=0.3).save(folder / "plane.safetensors")
    mpiexec(2, HERE / "run_generators.py", str(folder), str(folder / "out.npz"))
    with np.load(folder / "out.npz") as file:
        two = dict(file)
    assert two.pop("ranks") == 2  # and not two programs of one rank each
    return solve_all(folder, alone()), two


@pytest.mark.parametrize(("body", "generator"), [(body, name) for body in SIZES for name in generators(body)])
def test_two_ranks_find_what_one_finds(generator, body, runs):
    one, two = (found[f"{body} {generator}"] for found in runs)
    assert np.ptp(one) > 1e-5 * one.max()  # it has left the background
    assert np.abs(two - one).max() <= 1e-6 * np.ptp(one)


def test_generators_differ(runs):
    """No name stands for another's generator."""
    for body in SIZES:
        found = [runs[0][f"{body} {generator}"] for generator in generators(body)]
        for i, one in enumerate(found):
            assert not any(same(one, other, 1e-6) for other in found[:i])
