"""Estimates of `estimates.npz` anew, after a change of a definition: python -m tests.cases.before.renew NAME/METHOD ...

What was there before is printed beside it. The data themselves stay as they are.
"""

import sys

import numpy as np

from tests.methods.test_before import BEFORE, FOLDER, estimate


def main(keys: list[str]) -> None:
    arrays = dict(BEFORE)
    for key in keys:
        found = estimate(*key.split("/"))
        change = np.abs(found.x - arrays[key]).max() / np.abs(arrays[key]).max()
        print(f"{key}: misfit {float(arrays[f'{key}/misfit']):.6g} -> {found.misfit:.6g}, change {change:.2g}")
        arrays |= {key: found.x, f"{key}/misfit": found.misfit}
    np.savez_compressed(FOLDER / "estimates.npz", **arrays)


if __name__ == "__main__":
    main(sys.argv[1:])
