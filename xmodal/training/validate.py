"""Retrieval on held-out products after each epoch: what picks the checkpoint and stops a run.

Shapes: Q queries, N gallery pictures, B rows of this worker, D embedding.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from xmodal.matcher.encoder import Encoder
from xmodal.retrieval.metrics import means, per_query
from xmodal.retrieval.topk import topk_products
from xmodal.training.batches import Features, Rows
from xmodal.training.captions import Ints
from xmodal.training.doctor.watch import CHANCE_DEPTH, DEPTH, spread_figures
from xmodal.training.gather import gather_rows, world_rank, world_size
from xmodal.training.held_out import ValSet
from xmodal.training.loop import Metrics

ROWS = 256  # pictures or texts encoded at once


def retrieval(
    encoder: Encoder, valset: ValSet, images: Rows, texts: Rows, device: torch.device
) -> Metrics:
    """Text-to-image figures of the encoder as it is; alike on all workers, who share the work."""
    gallery_ND = encode_rows(encoder.image_head, images, valset.gallery_rows, device)
    query_QD = encode_rows(encoder.text_head, texts, valset.query_rows, device)
    metrics = [_judge(valset, query_QD, gallery_ND) if world_rank() == 0 else {}]
    if world_size() > 1:
        # One judge: were the workers to differ in a last bit, they would stop at other epochs.
        dist.broadcast_object_list(metrics, src=0)
    return metrics[0]


def _judge(valset: ValSet, query_QD: Tensor, gallery_ND: Tensor) -> Metrics:
    products = np.asarray(valset.gallery_products, dtype=np.int64)
    depth = min(DEPTH, len(set(valset.gallery_products)))
    scores, found = topk_products(query_QD.numpy(), gallery_ND.numpy(), products, depth)
    run = {
        query: {
            valset.product_ids[str(row)]: float(score)
            for row, score in zip(found[q], scores[q], strict=True)
            if row >= 0
        }
        for q, query in enumerate(valset.query_ids)
    }
    table = per_query(run, valset.qrels)
    maps = list(table["map"].values())
    return {
        **{name: float(value) for name, value in means(table).items()},
        # What the doctor weighs these by.
        "map_error": float(np.std(maps) / np.sqrt(len(maps))),
        "val_queries": float(len(maps)),
        "chance_recall": min(1.0, CHANCE_DEPTH / len(set(valset.gallery_products))),
        **spread_figures(query_QD, gallery_ND),
    }


@torch.no_grad()
def encode_rows(
    head: Callable[[Features], Tensor],
    store: Rows,
    rows: Sequence[int] | Ints,
    device: torch.device,
) -> Tensor:
    """Vectors of `rows`, (N, D) on the CPU; each worker encodes its share and all get all."""
    share = -(-len(rows) // world_size())
    # The last worker's share is filled up: a collective wants the same size of everybody.
    mine = np.resize(np.asarray(rows, dtype=np.int64), share * world_size())
    mine = mine[world_rank() * share : (world_rank() + 1) * share]
    vectors = [head(features).float() for features in _features(store, mine, device)]
    return gather_rows(torch.cat(vectors))[: len(rows)].cpu()


def _features(store: Rows, rows: Ints, device: torch.device) -> Iterator[Features]:
    for start in range(0, len(rows), ROWS):
        taken = store.take(rows[start : start + ROWS])
        yield {name: torch.from_numpy(x).to(device) for name, x in taken.items()}
