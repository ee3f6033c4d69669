"""Comparisons are commands too."""

from tests.cli.conftest import _own_cache, data  # noqa: F401
