"""What lies on disk: products, pairs, judged queries and quarantine, as Arrow schemas."""

from typing import Literal

import pyarrow as pa

Split = Literal["train", "val", "dev", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "dev", "test")

PRODUCT = pa.schema(
    [
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("title", pa.string()),  # "" where the product has none
        pa.field("images", pa.list_(pa.binary())),  # encoded, upright, RGB or grey; may be empty
        pa.field("attributes", pa.map_(pa.string(), pa.string())),
        pa.field("description", pa.string()),
        pa.field("price", pa.float64()),
        pa.field("url", pa.string()),
        pa.field("lang", pa.string()),
        pa.field("split", pa.string(), nullable=False),
    ]
)

PAIR = pa.schema(
    [
        pa.field("text", pa.string(), nullable=False),
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("product_row", pa.int64(), nullable=False),  # row in the catalogue's global order
        pa.field("weight", pa.float32(), nullable=False),
        pa.field("source", pa.string(), nullable=False),  # title, attributes, glossary, judged
        pa.field("lang", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("facts", pa.list_(pa.string()), nullable=False),  # "key=value" that it states
    ]
)

QUERY = pa.schema(
    [
        pa.field("query_id", pa.string(), nullable=False),
        pa.field("text", pa.string()),
        pa.field("image", pa.binary()),
        pa.field("lang", pa.string(), nullable=False),
    ]
)

QREL = pa.schema(
    [
        pa.field("query_id", pa.string(), nullable=False),
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("grade", pa.int8(), nullable=False),  # 0 to 3
        pa.field("label", pa.string()),  # what the set calls the grade, such as ESCI's `S`
    ]
)

QUARANTINE = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),  # counted from 1, the header left out
        pa.field("product_id", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("kept", pa.bool_(), nullable=False),  # only one image was dropped, the row stays
    ]
)
