"""The demos end by asserting what they teach; here they run."""

import importlib.util
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.usefixtures("gmsh")


QUICK = [["impedance/check_the_adjoint.py"]]
SLOW = [
    ["running/three_lines.py", "--out", "{out}"],
    ["running/resume_and_mpi.py"],
    ["running/ensemble_over_ranks.py"],
    ["impedance/deep_image_prior_disk.py"],
    ["impedance/swap_parameterization.py", "--steps", "150", "--out", "{out}"],
    ["impedance/your_own_parameterization.py"],
    ["impedance/reconstruct_tank.py", "--steps", "20", "--out", "{out}"],
    ["impedance/tank_3d.py", "--h", "0.1", "--steps", "100", "--out", "{out}"],
    ["impedance/gauss_newton_tv.py"],
    ["impedance/bar_sochen.py", "--out", "{out}"],
    ["impedance/pinn_and_deep_ritz_vs_fem.py", "--out", "{out}"],
    ["impedance/why_naive_deep_ritz_fails.py", "--out", "{out}"],
    ["theory/minimum_norm.py", "--out", "{out}"],
    ["theory/two_layer_jacobian.py", "--out", "{out}"],
    ["theory/recovery.py", "--out", "{out}"],
    ["theory/spectral_bias.py", "--out", "{out}"],
    ["theory/analytic_prior.py", "--out", "{out}"],
    ["images/restore_pictures.py", "--out", "{out}"],
    ["images/when_to_stop.py", "--out", "{out}"],
    ["images/ct_of_a_disc.py", "--out", "{out}"],
    ["images/mri_of_a_brain.py", "--out", "{out}"],
    ["images/pet_transmission.py", "--out", "{out}"],
    ["images/instability.py", "--out", "{out}"],
    ["images/educate_a_prior.py", "--lessons", "800", "--steps", "400", "--out", "{out}"],
    ["images/what_a_prior_invents.py", "--out", "{out}"],
    ["images/calibrated_ct.py", "--others", "2", "--size", "32", "--steps", "300", "--out", "{out}"],
    ["impedance/educated_tank.py", "--out", "{out}"],
    ["impedance/educated_solid.py", "--h=0.12", "--tanks=240", "--lessons=300", "--steps=80", "--out", "{out}"],
    ["impedance/how_sure_is_the_tank.py", "--out", "{out}"],
    ["impedance/laplace_against_a_chain.py", "--count", "300", "--out", "{out}"],
    ["theory/spectrum_of_a_prior.py", "--steps", "200", "--lessons", "800", "--out", "{out}"],
]


@pytest.mark.parametrize(
    "words",
    [*QUICK, *(pytest.param(words, marks=pytest.mark.slow) for words in SLOW)],
    ids=lambda words: words[0].removesuffix(".py"),
)
def test_demo(words, tmp_path):
    if "chain" in words[0] and importlib.util.find_spec("cuqi") is None:
        pytest.skip("needs CUQIpy: pip install 'eitdip[uq]'")
    words = [word.format(out=tmp_path / "out") for word in words]
    env = {**os.environ, "EITDIP_DATA": str(tmp_path / "none"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", str(ROOT / "demos" / words[0]), *words[1:]]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_demo_is_run():
    listed = [words[0] for words in (*QUICK, *SLOW)]
    found = [path.relative_to(ROOT / "demos").as_posix() for path in (ROOT / "demos").rglob("*.py")]
    assert sorted(listed) == sorted(found), "add the demo to a list, or take it off"
