"""Files damaged in every way: each is read or refused in words, within 10 s and little memory, and never a crash."""

import os
import resource
import subprocess
import sys

import pytest

from tests.fuzz.campaign import KINDS, ROOT, campaign

GIB = 2**30


def assert_sound(report, count: int, least: int) -> None:
    assert report.count == count, report.words()
    assert not report.faults, report.words()
    assert sum(each["ok"] for each in report.outcomes.values()) >= least, report.words()  # some are only scratched


def test_some_damaged_files(tmp_path):
    report = campaign(tmp_path, 0, 20 * len(KINDS))
    assert_sound(report, 20 * len(KINDS), 10)


@pytest.mark.slow
def test_ten_thousand_damaged_files(tmp_path):
    count = 1200 * len(KINDS)
    report = campaign(tmp_path, 10_000, 10_000 + count)
    print(report.words())
    assert_sound(report, count, 500)
    assert report.slowest < 10


@pytest.mark.slow
def test_ten_thousand_objects():
    """The tests of objects with twenty times as many inputs, 10 s for each, in 12 GiB."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/fuzz/test_objects.py"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "EITDIP_FUZZ": "20", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (12 * GIB, 12 * GIB)),
    )
    assert done.returncode == 0, done.stdout[-5000:]
