"""Hard negatives, mined by the encoder as it is, for batches that place them beside their product.

    trunk features -> heads -> title against all pictures -> nearest, less what may be right

A false negative teaches the wrong thing, so these are never taken: the same product, one that
bears the same title, one that the title's attributes fit, and one that scores nearly as high as
the product itself, which is likely right though nobody said so.

Shapes: P train products, S of a pool, B of a block, K candidates, M negatives, D embedding,
C attribute columns, U unique candidates.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from xmodal.matcher.encoder import Encoder
from xmodal.retrieval.topk import topk
from xmodal.training.batches import Rows, captions_hold
from xmodal.training.captions import Ints, PairTable
from xmodal.training.gather import gather_rows, world_rank, world_size
from xmodal.training.validate import encode_rows

NONE = -1
NEGATIVES = 3  # beside a product: a quarter of a batch is drawn at random, the rest is near it
_CANDIDATES = 32
_BELOW = 0.95  # of the product's own score
_POOL = 65_536  # products that are searched among each other: time grows with it for each product
_BLOCK = 1_024
_TAG = 77  # parts these draws from the sampler's of the same epoch


def mine(
    encoder: Encoder,
    table: PairTable,
    images: Rows,
    texts: Rows,
    draw: tuple[int, int],
) -> Ints:
    """Rows of the table (P, NEGATIVES), best first, -1 for none; alike on all workers.

    Each worker searches its share of every pool. Pure in `draw` (seed, epoch) and the weights.

    Source: the positive-aware "TopK-PercPos" of NV-Retriever, arXiv 2407.15831, section 3.
    """
    encoder.eval()
    device = encoder.log_scale.device
    rng = np.random.default_rng((*draw, _TAG))
    image_P, title_P = table.draw_images(rng.random(len(table))), table.titles()
    mined_PM = np.full((len(table), NEGATIVES), NONE, dtype=np.int64)
    for pool_S in np.array_split(rng.permutation(len(table)), -(-len(table) // _POOL)):
        text_rows = table.caption_text[title_P[pool_S]]
        text_SD = encode_rows(encoder.text_head, texts, text_rows, device).numpy()
        image_SD = encode_rows(encoder.image_head, images, image_P[pool_S], device).numpy()
        share = -(-len(pool_S) // world_size())
        # The last worker's share is filled up: a collective wants the same size of everybody.
        mine_S = np.resize(np.arange(len(pool_S)), share * world_size())
        mine_S = mine_S[world_rank() * share : (world_rank() + 1) * share]
        found = [
            _hardest(table, (text_SD, image_SD), pool_S, block)
            for block in np.array_split(mine_S, -(-share // _BLOCK))
        ]
        found_SM = gather_rows(torch.from_numpy(np.concatenate(found)).to(device)).cpu().numpy()
        mined_PM[pool_S] = found_SM[: len(pool_S)]
    return mined_PM


def _hardest(
    table: PairTable,
    vectors: tuple[NDArray[np.float32], NDArray[np.float32]],
    pool_S: Ints,
    block_B: Ints,
) -> Ints:
    """Negatives (B, M), rows of the table, of the pool's places `block_B`."""
    text_SD, image_SD = vectors
    scores_BK, place_BK = topk(text_SD[block_B], image_SD, min(_CANDIDATES, len(pool_S)))
    own_B = (text_SD[block_B] * image_SD[block_B]).sum(axis=1)
    limit_B = own_B - (1 - _BELOW) * np.abs(own_B)
    rows_B, rows_BK = pool_S[block_B], pool_S[place_BK]
    is_free_BK = scores_BK < limit_B[:, None]
    is_free_BK &= ~_may_be_right(table, rows_B, rows_BK)
    chosen = np.argsort(~is_free_BK, axis=1, kind="stable")[:, :NEGATIVES]
    found = np.where(
        np.take_along_axis(is_free_BK, chosen, axis=1),
        np.take_along_axis(rows_BK, chosen, axis=1),
        NONE,
    )
    short = NEGATIVES - found.shape[1]
    return np.pad(found, ((0, 0), (0, short)), constant_values=NONE)


def _may_be_right(table: PairTable, rows_B: Ints, rows_BK: Ints) -> NDArray[np.bool_]:
    """(B, K) bool: the product itself, one of the same title, or one that the title fits."""
    title_B = table.titles()[rows_B]
    unique_U, which = np.unique(rows_BK, return_inverse=True)
    which_BK = which.reshape(rows_BK.shape)
    bears_BU = table.bearers(table.caption_text[title_B], unique_U)
    bears_BK = np.take_along_axis(bears_BU, which_BK, axis=1)
    uses_B, own_BC = table.caption_uses[title_B], table.codes_PC[rows_B]
    fits_BK = captions_hold(own_BC, uses_B, table.codes_PC[rows_BK])
    may_BK: NDArray[np.bool_] = bears_BK | fits_BK | (rows_BK == rows_B[:, None])
    return may_BK
