"""Pictures as PNG files: conductivities, classes, data fits, histories.

Nothing here needs a display, touches pyplot or leaves half a file; `draw_field` and `draw_picture` draw into axes that
they are given. Conductivities have a logarithmic colour scale; with a background, red is more conductive, blue is less,
and the background itself is nearly white. All functions raise ShapeError for arrays that do not fit, NotPositiveError
for conductivities or deviations that are not > 0, InvalidDataError for other bad values, OutputError if the file cannot
be written.
"""

from eitdip.plot.comparison import against_time
from eitdip.plot.fields import conductivity, draw_field, images, labels
from eitdip.plot.histories import curves, data_fit
from eitdip.plot.pictures import draw_picture, pictures
from eitdip.plot.solids import render, slices

__all__ = [
    "against_time", "conductivity", "curves", "data_fit", "draw_field", "draw_picture", "images", "labels", "pictures",
    "render", "slices",
]  # fmt: skip
