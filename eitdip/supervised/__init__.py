"""Networks that learn from pairs (image, data), and how stable they are, for comparison with the deep image prior."""

from eitdip.supervised.instability import Attack, amplification, worst_case
from eitdip.supervised.iterations import LearnedADMM, LearnedEM, LearnedGradient, LearnedISTA, LearnedPrimalDual
from eitdip.supervised.pairs import Pairs, ellipse_pairs
from eitdip.supervised.postprocessing import PostProcessing
from eitdip.supervised.training import Training, train

__all__ = [
    "Attack",
    "LearnedADMM",
    "LearnedEM",
    "LearnedGradient",
    "LearnedISTA",
    "LearnedPrimalDual",
    "Pairs",
    "PostProcessing",
    "Training",
    "amplification",
    "ellipse_pairs",
    "train",
    "worst_case",
]
