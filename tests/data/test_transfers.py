"""Files of simulated tanks: what is damaged, empty or wrong is named."""

import h5py
import numpy as np
import pytest

from eitdip.data.transfers import Transfers, load, record
from eitdip.errors import FileFormatError, InvalidDataError, OptionError, ShapeError
from eitdip.ranks.collectives import alone


def make(number: int):
    rng = np.random.default_rng(number)
    return rng.standard_normal((2, 4, 4)).astype(np.float32), rng.integers(0, 3, (2, 8, 8)).astype(np.uint8)


def test_what_is_written_is_read(tmp_path):
    tanks = load(record(tmp_path / "a.h5", 3, make, {"seed": 1}, alone()))
    assert np.array_equal(tanks.transfer, np.concatenate([make(i)[0] for i in range(3)]))
    assert np.array_equal(tanks.classes, np.concatenate([make(i)[1] for i in range(3)]))
    assert tanks.provenance == {"seed": 1, "parts": 3}
    other = Transfers(tanks.transfer + 1e-3, tanks.classes, {})
    assert len(tanks.hash) == 16 and tanks.hash != other.hash
    half = tanks.part(slice(2, 4))
    assert len(half) == 2 and np.array_equal(half.transfer, make(1)[0])


def test_parts_of_other_settings_are_not_taken(tmp_path):
    def fails(number):
        if number == 1:
            raise RuntimeError("killed")
        return make(number)

    with pytest.raises(RuntimeError):
        record(tmp_path / "a.h5", 2, fails, {"seed": 1}, alone())
    with pytest.raises(OptionError, match=r"a\.h5\.parts: has parts made with other settings"):
        record(tmp_path / "a.h5", 2, make, {"seed": 2}, alone())


@pytest.mark.parametrize("where", [0.02, 0.3, 0.6, 0.97])
def test_truncated(tmp_path, where):
    path = record(tmp_path / "a.h5", 3, make, {}, alone())
    content = path.read_bytes()
    path.write_bytes(content[: int(where * len(content))])
    with pytest.raises(FileFormatError, match=r"a\.h5: is damaged or cut off .*; make it again"):
        load(path)


@pytest.mark.parametrize(
    "content, message", [(None, "no such file"), (b"", "is empty"), (b"words", "is damaged or cut off")]
)
def test_no_such_file(tmp_path, content, message):
    path = tmp_path / "a.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileFormatError, match=message):
        load(path)


@pytest.mark.parametrize(
    "change, kind, message",
    [
        (lambda file: file.attrs.__setitem__("format", np.bytes_("other")), FileFormatError, "is no file of format"),
        (lambda file: file.__delitem__("classes"), FileFormatError, "has no array 'classes'"),
        (lambda file: file["transfer"].__setitem__((3, 0, 0), np.nan), InvalidDataError, "tank 3 has NaN"),
        (lambda file: file["classes"].__setitem__((4, 0, 0), 7), InvalidDataError, "tank 4 has 7, expected only 0"),
    ],
)
def test_wrong_contents(tmp_path, change, kind, message):
    path = record(tmp_path / "a.h5", 3, make, {}, alone())
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(kind, match=message):
        load(path)


def test_arrays_that_do_not_fit():
    matrices, classes = make(0)
    with pytest.raises(ShapeError, match="transfer, classes: got"):
        Transfers(matrices[:1], classes, {})
    with pytest.raises(ShapeError, match="transfer, classes: got"):
        Transfers(matrices[:0], classes[:0], {})
