"""Snapshots along a training: when they are taken, what their directions are, and which are refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from eitdip.errors import CheckpointError, OptionError
from eitdip.pretraining.snapshots import Snapshots, differences, leading, snapshots_beside
from eitdip.pretraining.weights import Weights
from eitdip.reconstruction import Progress
from eitdip.reconstruction.result import Step
from tests.cases.images import IMAGES
from tests.cases.pretrained import snapshots_of, weights_file, weights_for


def rows(count: int = 5, size: int = 40) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_leading_directions_by_a_dense_decomposition():
    _, values, right = np.linalg.svd(rows().numpy(), full_matrices=False)
    found = leading(rows(), 3).numpy()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), values[:3] / 5**0.5, rtol=1e-10)
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs(unit @ right[:3].T), np.eye(3), atol=1e-8)


def test_directions_that_snapshots_do_not_have_are_left_out():
    flat = torch.cat([rows(2), rows(2)[:1] * 2, torch.zeros(1, 40).double()])
    assert leading(flat, 4).shape == (2, 40)
    with pytest.raises(OptionError, match="rank: got 6 for 5 snapshots, expected at most as many"):
        leading(rows(), 6)


def test_differences_are_in_the_order_of_the_parameters(tmp_path):
    given = IMAGES["picture"]()
    file = weights_file(tmp_path, given, answer=0.5)
    weights = Weights.load(file)
    network = weights.network()
    found = differences(weights, snapshots_beside(file))
    assert found.shape == (4, sum(value.numel() for value in network.parameters()))
    torch.nn.utils.vector_to_parameters(
        torch.nn.utils.parameters_to_vector(network.parameters()) + found[1].float(), network.parameters()
    )
    for name, value in snapshots_of(weights_for(given, answer=0.5), 4)[1].parameters.items():
        torch.testing.assert_close(network.state_dict()[name], value)


def test_a_training_is_looked_at_at_even_distances_and_not_at_its_end(tmp_path):
    weights = weights_for(IMAGES["picture"]())
    made = lambda state, step: replace(weights, parameters=state, provenance={"step": step})  # noqa: E731
    callback = Snapshots(tmp_path / "some", 3, 40, made)
    for step in range(40):
        state = {name: value + step for name, value in weights.parameters.items()}
        callback(Progress(Step(step, None, 0.0, state), 0, None, None))
    files = sorted((tmp_path / "some").iterdir())
    assert [file.stem for file in files] == ["000010", "000020", "000030"]
    one = Weights.load(files[1])
    name = next(iter(weights.parameters))
    assert torch.equal(one.parameters[name], weights.parameters[name] + 20) and one.provenance == {"step": 20}


def test_other_trainings_are_refused(tmp_path):
    given = IMAGES["picture"]()
    file = weights_file(tmp_path, given)
    weights, folder = Weights.load(file), snapshots_beside(file)
    with pytest.raises(CheckpointError, match=r"nothing-snapshots: no snapshots there, .*--set snapshots=10"):
        differences(weights, snapshots_beside("nothing.safetensors"))
    for name in ("training", "pairs", "seed"):
        with pytest.raises(CheckpointError, match=r"000000\.safetensors: is of another training"):
            differences(replace(weights, provenance={name: 7}), folder)
    wide = weights_for(IMAGES["sinogram"](), seed=1)
    replace(wide, architecture=wide.architecture | {"scaled": False}, parameters={
        name: value for name, value in wide.parameters.items() if not name.startswith("scale")
    }).save(folder / "000001.safetensors")  # fmt: skip
    with pytest.raises(CheckpointError, match=r"000001\.safetensors: is of another training"):
        differences(weights, folder)
