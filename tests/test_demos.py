"""The demos end by asserting what they teach; here they run."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.usefixtures("gmsh")


@pytest.mark.parametrize(
    "words",
    [
        ["impedance/check_the_adjoint.py"],
        pytest.param(["impedance/deep_image_prior_disk.py"], marks=pytest.mark.slow),
        pytest.param(
            ["impedance/swap_parameterization.py", "--steps", "150", "--out", "{out}"], marks=pytest.mark.slow
        ),
        pytest.param(["impedance/your_own_parameterization.py"], marks=pytest.mark.slow),
        pytest.param(["impedance/reconstruct_tank.py", "--steps", "20", "--out", "{out}"], marks=pytest.mark.slow),
        pytest.param(["running/three_lines.py", "--out", "{out}"], marks=pytest.mark.slow),
        pytest.param(["running/resume_and_mpi.py"], marks=pytest.mark.slow),
        pytest.param(
            ["impedance/tank_3d.py", "--h", "0.1", "--steps", "100", "--out", "{out}"], marks=pytest.mark.slow
        ),
        pytest.param(["running/ensemble_over_ranks.py"], marks=pytest.mark.slow),
        pytest.param(["impedance/gauss_newton_tv.py"], marks=pytest.mark.slow),
        pytest.param(["impedance/bar_sochen.py", "--out", "{out}"], marks=pytest.mark.slow),
        pytest.param(["impedance/pinn_and_deep_ritz_vs_fem.py", "--out", "{out}"], marks=pytest.mark.slow),
        pytest.param(["impedance/why_naive_deep_ritz_fails.py", "--out", "{out}"], marks=pytest.mark.slow),
        pytest.param(["theory/minimum_norm.py", "--out", "{out}"], marks=pytest.mark.slow),
        pytest.param(["theory/two_layer_jacobian.py", "--out", "{out}"], marks=pytest.mark.slow),
        pytest.param(["theory/recovery.py", "--out", "{out}"], marks=pytest.mark.slow),
        pytest.param(["theory/spectral_bias.py", "--out", "{out}"], marks=pytest.mark.slow),
        pytest.param(["theory/analytic_prior.py", "--out", "{out}"], marks=pytest.mark.slow),
        pytest.param(["images/restore_pictures.py", "--out", "{out}"], marks=pytest.mark.slow),
        pytest.param(["images/when_to_stop.py", "--out", "{out}"], marks=pytest.mark.slow),
        pytest.param(["images/ct_of_a_disc.py", "--out", "{out}"], marks=pytest.mark.slow),
        pytest.param(["images/mri_of_a_brain.py", "--out", "{out}"], marks=pytest.mark.slow),
        pytest.param(["images/pet_transmission.py", "--out", "{out}"], marks=pytest.mark.slow),
        pytest.param(["images/instability.py", "--out", "{out}"], marks=pytest.mark.slow),
    ],
    ids=lambda words: words[0].removesuffix(".py"),
)
def test_demo(words, tmp_path):
    words = [word.format(out=tmp_path / "out") for word in words]
    env = {**os.environ, "EITDIP_DATA": str(tmp_path / "none"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", str(ROOT / "demos" / words[0]), *words[1:]]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_demo_is_run():
    text = (ROOT / "tests" / "test_demos.py").read_text()
    for demo in (ROOT / "demos").rglob("*.py"):
        name = demo.relative_to(ROOT / "demos").as_posix()
        assert f'"{name}"' in text, f"add {name} to the list"
