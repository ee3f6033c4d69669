"""How far an estimate is from the truth, and the scores of two tomography challenges."""

from eitdip.metrics.fields import contrast_error, dice, psnr, relative_l2
from eitdip.metrics.objects import invented_and_missed
from eitdip.metrics.segmentation import KTC_SHAPE, ktc_score, label_image, mcc
from eitdip.metrics.truth import BETTER, ImageTruth, Truth, quality, sample_image

__all__ = [
    "BETTER",
    "KTC_SHAPE",
    "ImageTruth",
    "Truth",
    "contrast_error",
    "dice",
    "invented_and_missed",
    "ktc_score",
    "label_image",
    "mcc",
    "psnr",
    "quality",
    "relative_l2",
    "sample_image",
]
