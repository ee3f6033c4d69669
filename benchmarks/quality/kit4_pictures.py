"""Pictures of three KIT4 tanks beside their photos.

Columns: 2_3 (two conductive rings), 4_1 (a plastic triangle and a conductive ring), 3_2 (three plastic objects; there
is no photo of it). Rows: photo, deep image prior and Gauss-Newton, both with total variation. One setting for all
tanks and, but for what belongs to the optimizer, for both methods. Needs EITDIP_DATA with kit4/.

    python -m benchmarks.quality.kit4_pictures [--out FILE.png]
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from matplotlib.image import imread

import eitdip
from eitdip.data import data_root
from eitdip.methods.options import Method
from eitdip.plot.style import colour_scale, map_axes, picture
from eitdip.problems.bodies import MARGIN, Meshing
from eitdip.settings import divided
from eitdip.writing import write_atomically

CASES = {"2_3": "two conductive rings", "4_1": "plastic triangle, ring", "3_2": "three plastic objects"}
SETTINGS: dict = {"tv": 2.5}
ROWS = {"dip-tv": {}, "gn-tv": {"generator": "pixels", "steps": 15}}


def solve(path: Path, method: str, changes: dict) -> tuple[np.ndarray, dict]:
    """Conductivity over the background, (H, W) with NaN outside the tank, and numbers."""
    began = time.perf_counter()
    of_mesh, of_method = divided(SETTINGS | ROWS[method] | changes, Meshing, Method)
    problem = eitdip.load(path, **of_mesh)
    solution = eitdip.solve(problem, method, quiet=True, **of_method)
    image = solution.field / problem.unknown.start
    center = [MARGIN * ((np.arange(count) + 0.5) * 2 / count - 1) for count in image.shape]
    image[np.square(center[0])[:, None] + np.square(center[1]) > 1] = np.nan
    contrast = [float(np.nanmin(image)), float(np.nanmax(image))]
    numbers = {"misfit": solution.misfit, "range": contrast, "seconds": time.perf_counter() - began}
    return image, {"method": method, "case": path.stem} | numbers


def draw(path: Path, images: dict[tuple[str, str], np.ndarray], photos: dict[str, Path]) -> None:
    """Photos above the images, all of which share one colour scale."""
    style, draw_bar = colour_scale(list(images.values()), 1.0, "water = 1")
    with picture(path, (3.0 * len(CASES) + 1.2, 3.0 * (len(ROWS) + 1)), layout="compressed") as figure:
        grid = figure.subplots(len(ROWS) + 1, len(CASES), squeeze=False)
        for axes, (case, what) in zip(grid[0], CASES.items(), strict=True):
            axes.set_title(f"{case}: {what}")
            axes.set_axis_off()
            if photos[case].is_file():
                axes.imshow(imread(photos[case]))
            else:
                axes.text(0.5, 0.5, "no photo", ha="center", va="center", transform=axes.transAxes)
        for line, method in zip(grid[1:], ROWS, strict=True):
            for axes, case in zip(line, CASES, strict=True):
                drawn = axes.imshow(images[method, case], **style)
                map_axes(axes, "")
            line[0].set_ylabel(method)
        draw_bar(figure, drawn, grid[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", dest="pairs", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("results/kit4.png"))
    arguments = parser.parse_args()
    root = data_root()
    folder = None if root is None else root / "kit4"
    files = {} if folder is None else {case: folder / f"datamat_{case}.mat" for case in CASES}
    if not files or not all(path.is_file() for path in files.values()):
        print("skipped: no KIT4 data here; set EITDIP_DATA to a folder with kit4/datamat_{1_0,2_3,4_1,3_2}.mat")
        return
    changes = {key: json.loads(value) for key, _, value in (pair.partition("=") for pair in arguments.pairs)}
    images, numbers = {}, []
    for method in ROWS:
        for case, path in files.items():
            images[method, case], row = solve(path, method, changes)
            numbers.append(row)
            print(f"{method} {case}: chi^2/N {row['misfit']:.2f}, {row['seconds']:.0f} s", flush=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    draw(arguments.out, images, {case: folder / f"photo_{case}.jpg" for case in CASES})
    write_atomically(arguments.out.with_suffix(".json"), json.dumps(numbers, indent=2).encode())


if __name__ == "__main__":
    main()
