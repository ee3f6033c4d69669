"""The competition's calling convention, on a simulated tank in the challenge's file layout."""

from functools import cache

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from eitdip.challenges import ktc2023, ktc2023_training
from eitdip.cli.exits import run
from eitdip.data import load
from eitdip.data.ktc2023 import TANK
from eitdip.fem import CompleteElectrodeModel
from eitdip.fem.matrices import MARGIN
from eitdip.phantoms import Inclusion, Phantom
from eitdip.pretraining.tanks import task
from eitdip.pretraining.weights import Weights, build
from eitdip.problems.physical_step import PhysicalStep

SIDE = 256
CENTER = (np.arange(SIDE) + 0.5) * 2 / SIDE - 1
X, Y = np.meshgrid(CENTER, -CENTER)


def disk(x: float, y: float, radius: float) -> np.ndarray:
    return (X - x) ** 2 + (Y - y) ** 2 <= radius**2


def test_each_object_gets_its_own_threshold():
    strong, faint, noise = disk(-0.5, 0, 0.2), disk(0.5, 0, 0.2), disk(0, 0.6, 0.1)
    halo = disk(-0.5, 0, 0.28)
    image = np.full((SIDE, SIDE), 0.8)
    image[halo] *= np.exp(0.7)  # around the strong object, as bright as the faint one
    image[strong] = 0.8 * np.exp(4.0)
    image[faint] = 0.8 * np.exp(-0.7)
    image[noise] = 0.8 * np.exp(0.2)
    expected = np.where(strong, 2, np.where(faint, 1, 0))
    labels = ktc2023.classify(image)
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, expected)
    assert np.array_equal(ktc2023.classify(5 * image), expected)  # the water is the median
    assert not ktc2023.classify(np.ones((SIDE, SIDE))).any()


def test_the_challenge_grid_keeps_the_orientation():
    side = 64
    center = ((np.arange(side) + 0.5) * 2 / side - 1) * MARGIN
    x, y = np.meshgrid(center, -center)  # row 0 at the top
    fine = ktc2023.to_challenge_grid(np.exp(0.5 * x - 0.8 * y))
    inside = X**2 + Y**2 <= 1
    assert np.allclose(fine[inside], np.exp(0.5 * X - 0.8 * Y)[inside], rtol=1e-10)
    assert (fine[~inside] == 1).all()


@cache
def voltages():
    """Currents, patterns (a column each), voltages of the tank and of water; one object, upper left."""
    odd = np.arange(0, 32, 2)
    ends = [(int(a), int(b)) for a, b in zip(odd, np.roll(odd, -1), strict=True)]
    ends += [(int(a), b) for b in (0, 8, 16, 24) for a in odd if a != b]
    eye = np.eye(32)
    currents = np.array([eye[a] - eye[b] for a, b in ends])
    moments = np.array([eye[m] - eye[m + 1] for m in range(31)])
    domain = TANK.mesh(0.15 * TANK.radius, degree=2)
    model = CompleteElectrodeModel(domain, currents, np.full(32, 1e-6), moments)
    objects = Phantom("one", (Inclusion((-0.4, 0.4), (0.35, 0.35), 0.0, 0.1),))
    return (
        currents.T,
        moments.T,
        model(objects.on_domain(domain, 0.75)),
        model(np.full(model.domain.shape, 0.75)),
    )


def write(folder, level: int, *names: int) -> None:
    currents, moments, values, empty = voltages()
    gone = 2 * (level - 1)
    removed = np.abs(currents[:gone]).any(axis=0)[:, None] | np.abs(moments[:gone]).any(axis=0)
    folder.mkdir()
    savemat(folder / "ref.mat", {"Uelref": empty.reshape(-1, 1), "Injref": currents, "Mpat": moments})
    for name in names:
        seen = np.where(removed, np.nan, values).reshape(-1, 1)
        savemat(folder / f"data{name}.mat", {"Uel": seen, "Inj": currents, "Mpat": moments})


def command(*arguments) -> int:
    words = [str(word) for word in arguments]
    return run(lambda: ktc2023.command(words, standalone_mode=False), name="ktc2023")


@pytest.mark.usefixtures("gmsh")
def test_the_convention(tmp_path, monkeypatch, capsys):
    settings = {"generator": "pixels", "learning_rate": 0.15, "steps": 12, "size": 32, "h": 0.2, "tv": 0.1}
    monkeypatch.setattr(ktc2023, "SETTINGS", settings)
    write(tmp_path / "in", 2, 10, 3)
    assert command(tmp_path / "in", tmp_path / "new" / "out", 2) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["3.mat", "10.mat"]
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == ["10.mat", "3.mat"]
    labels = loadmat(tmp_path / "new" / "out" / "3.mat")["reconstruction"]
    assert labels.shape == (256, 256) and labels.dtype == np.uint8
    assert set(np.unique(labels)) <= {0, 1, 2}
    resistive = labels == 1
    assert resistive.any()
    assert X[resistive].mean() < -0.2 and Y[resistive].mean() > 0.2


@pytest.mark.usefixtures("gmsh")
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "no such input folder"),
        ("empty", "expected at least one"),
        ("level", "1<=x<=7"),
        ("words", "level"),
    ],
)
def test_bad_input(kind, message, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    words = {
        "missing": [tmp_path / "missing", tmp_path / "out", 1],
        "empty": [tmp_path / "empty", tmp_path / "out", 1],
        "level": [tmp_path / "empty", tmp_path / "out", 9],
        "words": [tmp_path / "empty", tmp_path / "out"],
    }[kind]
    assert command(*words) == 2
    error = capsys.readouterr().err
    assert error.startswith("ktc2023: error: ") and error.count("\n") == 1 and message in error.lower()
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("gmsh")
def test_the_wrong_level_stops_before_any_work(tmp_path, capsys):
    write(tmp_path / "in", 3, 1)
    assert command(tmp_path / "in", tmp_path / "out", 1) == 2
    assert "the file is of level 3" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


SMALL = {
    "class": "unet",
    "latent_channels": 8,
    "channels": [4, 4, 4],
    "levels": 2,
    "skips": 4,
    "outputs": 3,
    "patch": 2,
}


def untrained(folder, level: int, data) -> None:
    """Weights drawn at random, which say that they know a level."""
    folder.mkdir()
    known = task(ktc2023_training.layouts(data, [level]))
    first = Weights(SMALL, build(SMALL).state_dict(), known)
    wide = SMALL | {"latent_channels": 8 + PhysicalStep.channels}
    more = {"first": first.hash, "channels": 8 + PhysicalStep.channels}
    first.save(folder / ktc2023.FIRST_NAME)
    Weights(wide, build(wide).state_dict(), known | more).save(folder / ktc2023.SECOND_NAME)


@pytest.mark.usefixtures("gmsh")
def test_educated(tmp_path, capsys):
    write(tmp_path / "in", 2, 1, 2)
    untrained(tmp_path / "weights", 2, tmp_path / "in" / "data1.mat")
    words = ["--method", "educated", "--weights", tmp_path / "weights"]
    assert command(tmp_path / "in", tmp_path / "out", 2, *words) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["1.mat", "2.mat"]
    files = [loadmat(tmp_path / "out" / f"{n}.mat") for n in (1, 2)]
    one, two = (file["reconstruction"] for file in files)
    assert one.shape == (256, 256) and one.dtype == np.uint8 and not one[X**2 + Y**2 > 1].any()
    assert np.array_equal(one, two)  # the same data
    answer = ktc2023.Educated(tmp_path / "weights")
    assert np.array_equal(answer(load(tmp_path / "in" / "data1.mat", level=2)), one) and len(answer.hash) == 33
    assert files[0]["weights"] == answer.hash
    # The file has all levels' data removed that level 3 lacks, but the weights do not know it.
    write(tmp_path / "in3", 3, 1)
    assert command(tmp_path / "in3", tmp_path / "out", 3, *words) == 2
    error = capsys.readouterr().err
    assert "first network: trained for 1 levels" in error and error.count("\n") == 1
    assert command(tmp_path / "in", tmp_path / "out", 2, "--method", "educated", "--weights", tmp_path / "no") == 2
    assert "ktc2023-first.safetensors: no weights there" in capsys.readouterr().err


def test_the_likeliest_class_of_logits():
    side = 64
    center = ((np.arange(side) + 0.5) * 2 / side - 1) * MARGIN
    x, y = np.meshgrid(center, -center)
    labels = ktc2023.most_likely(np.stack([0.5 - 0 * x, x, y]))
    expected = np.where(np.maximum(X, Y) <= 0.5, 0, np.where(X > Y, 1, 2))
    inside = X**2 + Y**2 <= 1
    assert labels.dtype == np.uint8 and (labels[~inside] == 0).all()
    assert np.mean(labels[inside] != expected[inside]) < 1e-3


@pytest.mark.usefixtures("gmsh")
def test_the_committed_weights(tmp_path):
    """They are the ones that the training command made, and find an object where electrodes are missing."""
    answer = ktc2023.Educated()
    assert answer.hash == "62842ef3dc85b23d 9e0321c6566236b3"
    write(tmp_path / "in", 3, 1)
    labels = answer(load(tmp_path / "in" / "data1.mat", level=3))
    true = disk(-0.4, 0.4, 0.35)
    assert not (labels == 2).any()
    overlap = 2 * (true & (labels == 1)).sum() / (true.sum() + (labels == 1).sum())
    assert overlap > 0.85  # 0.87; the object of contrast 0.1 is on a coarse mesh, unlike any that it was trained on


@pytest.mark.slow
@pytest.mark.usefixtures("gmsh")
def test_the_command_that_makes_weights(tmp_path, monkeypatch, capsys):
    """Small networks, few tanks and steps: `--method educated` takes what it writes; a repetition gives the same."""
    layouts = ktc2023_training.layouts
    monkeypatch.setattr(ktc2023_training, "ARCHITECTURE", SMALL)
    monkeypatch.setattr(ktc2023_training, "KEPT", 8)
    monkeypatch.setattr(ktc2023_training, "layouts", lambda path: layouts(path, [6]))
    write(tmp_path / "in", 1, 1)
    write(tmp_path / "in6", 6, 1)

    def make(out) -> int:
        words = [str(word) for word in (tmp_path / "in" / "data1.mat", out, "--tanks", 300, "--steps", 3)]
        return run(lambda: ktc2023_training.command(words, standalone_mode=False), name="ktc2023_training")

    assert make(tmp_path / "one") == 0
    said = capsys.readouterr().out
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "tanks.h5").write_bytes((tmp_path / "one" / "tanks.h5").read_bytes())
    assert make(tmp_path / "two") == 0
    assert capsys.readouterr().out == said and said.startswith("ktc2023-first.safetensors: held-out loss ")
    labels = ktc2023.Educated(tmp_path / "one")(load(tmp_path / "in6" / "data1.mat", level=6))
    assert labels.shape == (256, 256)
    hashes = ktc2023.Educated(tmp_path / "one").hash.split()
    assert all(value in said for value in hashes)
