"""Every kind of problem, small: a new one joins all contracts of problems, unknowns and methods by a row here."""

from collections.abc import Callable

from eitdip.problems.problem import Problem
from tests.cases import images, measurements

PROBLEMS: dict[str, Callable[[], Problem]] = {
    "tank": lambda: measurements.problem("cem"),
    "disk": lambda: measurements.problem("dtn"),
    "solid": lambda: measurements.problem("cylinder"),
    "ball": lambda: measurements.problem("ball"),
    **images.IMAGES,
}
