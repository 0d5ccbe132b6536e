"""`POST /v1/embeddings`: vectors of texts and pictures, in the shape of OpenAI's API.

Pictures as infinity takes them (a request-wide `modality`) and as Jina does (items of `{"text"}`
and `{"image"}`), both at once.
"""

import asyncio
import base64
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from serve.problems import Problem
from serve.schemas import MAX_BODY_BYTES, decode_image
from serve.wishes import MAX_TEXT, Text
from xmodal.matcher.words import words
from xmodal.retrieval.codes import prefix
from xmodal.search.query import Query, QueryEncoder

MOST = 128  # items of a request
AT_ONCE = 32  # of them in the encoder's queue: a large request leaves room for others

Encoded = Annotated[str, StringConstraints(min_length=1, max_length=MAX_BODY_BYTES)]


class TextItem(BaseModel):
    """A text."""

    model_config = ConfigDict(extra="forbid")

    text: Text


class ImageItem(BaseModel):
    """A picture in base64, or as a `data:` URL."""

    model_config = ConfigDict(extra="forbid")

    image: Encoded


Item = TextItem | ImageItem | str


class EmbeddingsRequest(BaseModel):
    """What is to be embedded."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {"model": "xmodal", "input": ["red dress", "红色连衣裙"]},
                {"model": "xmodal", "input": [{"text": "red dress"}, {"image": "<base64>"}]},
            ]
        },
    )

    input: Item | list[Item]
    """A text, or a list of at most 128 texts; or items that say what they are."""
    model: str = "xmodal"
    """Not read: a service has one model, which the answer names."""
    encoding_format: Literal["float", "base64"] = "float"
    """`base64`: float32, little-endian."""
    dimensions: int | None = Field(default=None, ge=0, strict=True)
    """The first so many, at unit length again; 0 or none: all. Good where the matcher was trained
    with `training.matryoshka`."""
    modality: Literal["text", "image"] = "text"
    """What a bare string is."""
    user: str | None = None
    """Not read."""


class Embedding(BaseModel):
    """One vector."""

    object: Literal["embedding"] = "embedding"
    embedding: list[float] | str
    index: int


class Usage(BaseModel):
    """Words of the texts; a Chinese character is one."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(BaseModel):
    """Unit vectors, in the order of the items."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage


async def embed(
    request: EmbeddingsRequest, encoder: QueryEncoder, model: str, deadline_s: float
) -> EmbeddingsAnswer:
    """Embed the items. Raises Problem 400, QueryError, Overloaded, or DeadlineExceeded."""
    given = request.input if isinstance(request.input, list) else [request.input]
    if not given:
        raise Problem(400, "empty", "give at least one text or picture", "input")
    if len(given) > MOST:
        raise Problem(400, "too_large", f"at most {MOST} items in a request", "input")
    queries = [_query(item, request.modality, place) for place, item in enumerate(given)]
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(query: Query) -> NDArray[np.float32]:
        async with gate:
            return (await encoder.encode(query, deadline_s)).vector_D

    vector_ND = np.stack(await asyncio.gather(*[one(query) for query in queries]))
    vector_ND = _first(vector_ND, request.dimensions)
    read = sum(len(words(query.text)) for query in queries if query.text)
    shown = _base64 if request.encoding_format == "base64" else _floats
    return EmbeddingsAnswer(
        data=[Embedding(embedding=shown(v), index=n) for n, v in enumerate(vector_ND)],
        model=model,
        usage=Usage(prompt_tokens=read, total_tokens=read),
    )


def _query(item: TextItem | ImageItem | str, modality: str, place: int) -> Query:
    if isinstance(item, TextItem):
        return Query(text=item.text)
    if isinstance(item, str) and modality == "text":
        text, most = item.strip(), MAX_TEXT
        if not 1 <= len(text) <= most:
            code = "too_large" if text else "empty"
            raise Problem(400, code, f"a text has 1 to {most:,} characters", f"input.{place}")
        return Query(text=text)
    try:
        return Query(image=decode_image(item if isinstance(item, str) else item.image))
    except ValueError as error:
        raise Problem(400, "bad_image", str(error), f"input.{place}") from error


def _first(vector_ND: NDArray[np.float32], dimensions: int | None) -> NDArray[np.float32]:
    dim = vector_ND.shape[1]
    if not dimensions or dimensions == dim:
        return vector_ND
    if dimensions > dim:
        raise Problem(400, "too_large", f"the model has {dim} dimensions", "dimensions")
    return prefix(vector_ND, dimensions)


def _floats(vector_D: NDArray[np.float32]) -> list[float]:
    found: list[float] = vector_D.tolist()
    return found


def _base64(vector_D: NDArray[np.float32]) -> str:
    return base64.b64encode(vector_D.astype("<f4").tobytes()).decode()
