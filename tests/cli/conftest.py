"""What tests of commands share."""

import pytest

from tests.cases.files import Files


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Files:
    """Small data files by name."""
    return Files(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Matrices of projectors are kept in a cache: not in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
