"""How far the rows of texts are moved so that they do not swamp the rows of pictures.

Two texts lie nearer to each other than a text lies to a picture (the modality gap), so in one
gallery the products that have no picture would fill every answer to a text query. The gap is
measured on held-out products and taken off.

Shapes: Q queries, P gallery products, D embedding size.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
TOP_SHARE = 0.99  # what competes for the first page is the top of both distributions, not the means
NO_OFFSET: Mapping[str, float] = {"text": 0.0, "image": 0.0}


def measure_offset(
    query_QD: Floats, query_product_Q: NDArray[np.int64], image_PD: Floats, title_PD: Floats
) -> float:
    """What to take off the score of a text row, in cosine, for queries of one kind.

    Row p of `image_PD` and `title_PD` is the picture and the title of product p; a query's own
    product is left out on both sides, for it shall win. The offset is the median over queries of
    the difference of the two `TOP_SHARE` quantiles; 0 where there is nothing to measure by.
    Never below 0: texts are not lifted over pictures, so a picture still finds its own first.
    """
    if len(query_QD) == 0 or len(image_PD) < 2:
        return 0.0
    own_QP = query_product_Q[:, None] == np.arange(len(image_PD))[None, :]
    tops = []
    for gallery_PD in (image_PD, title_PD):
        scores_QP = np.where(own_QP, np.nan, query_QD @ gallery_PD.T)
        tops.append(np.nanquantile(scores_QP, TOP_SHARE, axis=1))
    return max(float(np.median(tops[1] - tops[0])), 0.0)
