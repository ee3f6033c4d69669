"""Files are complete or not there."""

import errno

import pytest

from eitdip.errors import OutputError
from eitdip.writing import atomic_path, write_atomically


def names(folder) -> list[str]:
    return sorted(item.name for item in folder.iterdir())


def test_the_file_appears_at_the_end_of_the_block(tmp_path):
    path = tmp_path / "mesh.vtu"
    with atomic_path(path) as scratch:
        scratch.write_bytes(b"half")
        assert scratch.parent == path.parent and scratch.suffix == ".vtu"
        assert not path.exists()
        scratch.write_bytes(b"whole")
    assert path.read_bytes() == b"whole" and names(tmp_path) == ["mesh.vtu"]


def test_a_new_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "result.json"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new" and names(tmp_path) == ["result.json"]


@pytest.mark.parametrize(
    "error", [KeyError("bug"), OSError(errno.ENOSPC, "no space left on device"), KeyboardInterrupt()]
)
def test_a_failure_leaves_the_old_file_and_nothing_else(error, tmp_path):
    path = tmp_path / "result.json"
    write_atomically(path, b"old")
    with pytest.raises((KeyError, OutputError, KeyboardInterrupt)) as caught, atomic_path(path) as scratch:
        scratch.write_bytes(b"new")
        raise error
    if isinstance(error, OSError):
        assert "result.json: cannot be written (no space left" in str(caught.value)
    else:
        assert caught.value is error
    assert path.read_bytes() == b"old" and names(tmp_path) == ["result.json"]


def test_what_a_killed_process_left_is_overwritten(tmp_path):
    path = tmp_path / "seed-0.safetensors"
    with pytest.raises(RuntimeError), atomic_path(path) as scratch:
        raise RuntimeError
    scratch.write_bytes(b"torn")  # as if the process had been killed
    write_atomically(path, b"new")
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("place", ["missing/file", "file/below", "folder"])
def test_where_nothing_can_be_written(place, tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"cannot be written .* choose an existing folder"):
        write_atomically(tmp_path / place, b"new")
    assert names(tmp_path) == ["file", "folder"] and (tmp_path / "file").read_bytes() == b"mine"


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"), atomic_path(tmp_path / "file"):
        pass
    assert names(tmp_path) == []
