"""When to stop: four rules that never see the truth, on one picture with noise.

A deep image prior first learns the picture, then the noise: its PSNR rises, peaks and falls. Which iterate is kept is
up to a rule. Held-out measurements (the default) and the windowed moving variance need nothing else; discrepancy and
Stein's unbiased risk estimate, SURE, need the noise level. What each loses against the best iterate of its own run is
printed and drawn. The variance of the iterates is least where they rest, and that need not be at the best one: of the
four it is the least reliable.

    python demos/images/when_to_stop.py [--picture skimage:astronaut] [--sigma 0.1] [--steps 2000] [--out FILE.png]
"""

import argparse
from pathlib import Path

import eitdip
from eitdip.data.pictures import gray, read_picture, square
from eitdip.plot.style import GREY, RED, picture
from eitdip.problems import simulate_images as simulate

# SURE differentiates the iterate itself, not an average; the others are calmer with one.
RULES = {
    "held-out": {"average": 0.99, "patience": 300},
    "variance": {"average": 0.0, "patience": 300},
    "discrepancy": {"average": 0.0},
    "sure": {"average": 0.0, "patience": 300},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", default="skimage:astronaut", help="a file, or skimage:NAME")
    parser.add_argument("--sigma", type=float, default=0.1)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path("when_to_stop.png"))
    arguments = parser.parse_args()

    problem = simulate.denoise(square(gray(read_picture(arguments.picture)), 64), sigma=arguments.sigma)
    losses = {}
    with picture(arguments.out, (13.5, 3.4)) as figure:
        for axes, (rule, settings) in zip(figure.subplots(1, 4, sharey=True), RULES.items(), strict=True):
            solution = eitdip.solve(problem, "dip", stop=rule, steps=arguments.steps, **settings)
            (result,) = solution.results
            curve = result.history["PSNR"]
            losses[rule] = curve.max() - curve[result.kept]
            kept = f"kept step {result.kept:4d} of {result.iterations:4d}: {solution.errors['PSNR']:5.2f} dB"
            print(f"{rule:<12} {kept}, {losses[rule]:.2f} dB below the best one")
            axes.plot(curve)
            axes.axvline(result.kept, color=RED, label=f"kept: −{losses[rule]:.2f} dB")
            axes.axhline(curve.max(), color=GREY, linewidth=0.8)
            axes.set(title=rule, xlabel="step", ylim=(12, curve.max() + 1.5))
            axes.legend(loc="lower right")
        figure.axes[0].set_ylabel("PSNR, dB")
    print(f"picture: {arguments.out}")
    assert losses["held-out"] < 1 and losses["sure"] < 1, "a rule without the truth finds a good iterate"


if __name__ == "__main__":
    main()
