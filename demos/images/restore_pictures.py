"""One picture, four ways to spoil it, one way back: denoise, inpaint, super-resolve and deblur.

Only the operator A of y = A x + noise differs. The deep image prior never sees another picture: that it prefers
pictures to noise is in its architecture. A part of the data is held out, which says when to stop, so no noise
level is needed. Beside it: what the data give at once, and total variation.

    python demos/images/restore_pictures.py [--picture skimage:camera] [--size 64] [--steps 1500] [--out FILE.png]
"""

import argparse
from pathlib import Path

import eitdip
from eitdip import plot
from eitdip.data.pictures import gray, read_picture, square
from eitdip.problems import simulate_images as simulate

TASKS = {
    "denoise": lambda picture: simulate.denoise(picture, sigma=0.1),
    "inpaint": lambda picture: simulate.inpaint(picture, missing=0.5, sigma=0.05),
    "super-resolve": lambda picture: simulate.super_resolve(picture, factor=2, sigma=0.01),
    "deblur": lambda picture: simulate.deblur(picture, width=1.5, sigma=0.01),
}
# Weight of total variation, in units of the noise, for both methods that have it.
TV = {"denoise": 10.0, "inpaint": 20.0, "super-resolve": 1.0, "deblur": 2.0}
# Where the data have no noise to speak of, what is set aside is missed: less of it.
HELD_OUT = {"denoise": 0.1, "inpaint": 0.1, "super-resolve": 0.05, "deblur": 0.05}
PRIOR = {"learning_rate": 0.005, "patience": 300}
NAMES = {"pinv": "data alone", "tv": "TV", "dip-tv": "deep prior + TV"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", default="skimage:camera", help="a file, or skimage:NAME")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--out", type=Path, default=Path("restore_pictures.png"))
    arguments = parser.parse_args()

    truth = square(gray(read_picture(arguments.picture)), arguments.size)
    panels, found = {}, {}
    for name, make in TASKS.items():
        problem = make(truth)
        settings = {
            "pinv": {},
            "tv": {"tv": TV[name]},
            "dip-tv": {"tv": TV[name], "held_out": HELD_OUT[name], "steps": arguments.steps, **PRIOR},
        }
        found[name] = {method: eitdip.solve(problem, method, **each) for method, each in settings.items()}
        panels[f"{name}: truth\n"] = truth
        for method, solution in found[name].items():
            panels[f"{name}: {NAMES[method]}\n{solution.errors['PSNR']:.1f} dB"] = solution.x
        print(f"{name:<14}", *(f"{method} {each.errors['PSNR']:5.1f} dB  " for method, each in found[name].items()))
    plot.pictures(arguments.out, panels, 0.0, 1.0)
    print(f"picture: {arguments.out}")
    for name, each in found.items():
        gain = each["dip-tv"].errors["PSNR"] - each["pinv"].errors["PSNR"]
        assert gain > 0, f"{name}: the prior adds what the data do not say"


if __name__ == "__main__":
    main()
