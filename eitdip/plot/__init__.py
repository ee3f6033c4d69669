"""Pictures as files (.png, .pdf, .svg): conductivities, classes, data fits, histories.

Nothing here needs a display, touches pyplot or leaves half a file; `draw_field` and `draw_picture` draw into axes that
they are given. Conductivities have a logarithmic colour scale; with a background, red is more conductive, blue is less,
and the background itself is nearly white. What is absurd in few cells does not stretch a scale: arrows of the colour
bar stand for it. All functions raise ShapeError for arrays that do not fit, NotPositiveError for conductivities or
deviations that are not > 0, InvalidDataError for other bad values, OptionError for other endings of files, OutputError
if the file cannot be written.
"""

from eitdip.plot.comparison import against_time
from eitdip.plot.fields import conductivity, draw_field, images, labels
from eitdip.plot.fits import data_fit
from eitdip.plot.histories import curves
from eitdip.plot.pictures import draw_picture, pictures
from eitdip.plot.solids import slices
from eitdip.plot.surfaces import render
from eitdip.plot.uncertainty import uncertainty

__all__ = [
    "against_time", "conductivity", "curves", "data_fit", "draw_field", "draw_picture", "images", "labels", "pictures",
    "render", "slices", "uncertainty",
]  # fmt: skip
