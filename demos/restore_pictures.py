"""One picture, four ways to spoil it, one way back: denoise, inpaint, super-resolve and deblur.

Only the operator A of y = A x + noise differs. The deep image prior never sees another picture: that it prefers
pictures to noise is in its architecture. Each task holds a fifth of its data out, which says when to stop, so no noise
level is needed. Beside it: what the data give at once, and total variation.

    python demos/restore_pictures.py [--picture skimage:camera] [--size 64] [--steps 1500] [--out restore_pictures.png]
"""

import argparse
from pathlib import Path

from eitdip import plot
from eitdip.restoration import image_options, restore, simulate
from eitdip.restoration.pictures import gray, read_picture, square
from eitdip.threads import use_threads

TASKS = {
    "denoise": lambda picture: simulate.denoise(picture, sigma=0.1),
    "inpaint": lambda picture: simulate.inpaint(picture, missing=0.5, sigma=0.05),
    "super-resolve": lambda picture: simulate.super_resolve(picture, factor=2, sigma=0.01),
    "deblur": lambda picture: simulate.deblur(picture, width=1.5, sigma=0.01),
}
METHODS = {"pinv": {}, "tv": {}, "dip-tv": {"patience": 300}}
NAMES = {"pinv": "the data alone", "tv": "total variation", "dip-tv": "deep image prior + TV"}
# Of total variation, in units of the noise: these tasks have very different noise.
TV = {"denoise": 10.0, "inpaint": 10.0, "super-resolve": 1.0, "deblur": 1.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", default="skimage:camera", help="a file, or skimage:NAME")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--out", type=Path, default=Path("restore_pictures.png"))
    arguments = parser.parse_args()
    use_threads()

    truth = square(gray(read_picture(arguments.picture)), arguments.size)
    panels, gains = {}, {}
    for name, make in TASKS.items():
        task, quality = make(truth), {}
        for method, changes in METHODS.items():
            changes = changes | ({"steps": arguments.steps} if method == "dip-tv" else {})
            changes = changes | ({} if method == "pinv" else {"tv": TV[name]})
            found = restore(task, image_options(method, changes))
            quality[method] = found.psnr
            panels[f"{NAMES[method]}\n{found.psnr:.1f} dB"] = found.image
        panels[f"{name}: truth"] = truth
        gains[name] = quality["dip-tv"] - quality["pinv"]
        print(f"{name:<14}", *(f"{method} {value:5.1f} dB  " for method, value in quality.items()))
    plot.pictures(arguments.out, panels, 0.0, 1.0)
    print(f"picture: {arguments.out}")
    print(gains)


if __name__ == "__main__":
    main()
