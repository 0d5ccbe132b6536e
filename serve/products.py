"""The routes that change products: put in one or many, take out one or many. No Ray here."""

from typing import Any

from fastapi import FastAPI, Request, Response

from serve.changes import NDJSON, DeleteRequest, Kept, KeptAnswer, ProductBody
from serve.schemas import ErrorAnswer
from serve.service import Service

_Responses = dict[int | str, dict[str, Any]]
_GONE: _Responses = {404: {"model": ErrorAnswer, "description": "Not there"}}
_ERRORS: _Responses = {
    507: {"model": ErrorAnswer, "description": "The change could not be stored; nothing was kept"}
}
_SOME_FAILED: _Responses = {
    207: {"model": KeptAnswer, "description": "Each change with a status of its own"}
}


def add_changes(api: FastAPI, service: Service, responses: _Responses) -> None:
    """Add the routes; `responses` documents the errors that all routes share."""
    errors = responses | _ERRORS
    one = {"application/json": {"schema": ProductBody.model_json_schema()}}
    lines = {NDJSON: {"schema": {"type": "string", "description": "A product a line"}}}

    @api.put(
        "/v1/products",
        responses=errors | _SOME_FAILED,
        openapi_extra={"requestBody": {"required": True, "content": one | lines}},
    )
    async def upsert(request: Request, response: Response) -> Kept | KeptAnswer:
        """Put in a product, or with `application/x-ndjson` one a line: durable, and found by the
        next search. What is there under the same id is replaced; the same content twice is one."""
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        content = await request.body()
        if media != NDJSON:
            return await service.desk.put(content)
        return _seen(await service.desk.put_lines(content), response)

    @api.put(
        "/v1/products/{product_id:path}",
        responses=errors,
        openapi_extra={"requestBody": {"required": True, "content": one}},
    )
    async def upsert_one(request: Request, product_id: str) -> Kept:
        """Put in the product of that id."""
        return await service.desk.put(await request.body(), product_id)

    @api.delete("/v1/products", responses=errors | _SOME_FAILED)
    async def delete_many(request: DeleteRequest, response: Response) -> KeptAnswer:
        """Take products out; 207 where any of them is not there."""
        return _seen(await service.desk.delete_all(request.product_ids), response)

    @api.delete("/v1/products/{product_id:path}", responses=errors | _GONE)
    async def delete(product_id: str) -> Kept:
        """Take a product out: no search finds it from now on."""
        return await service.desk.delete(product_id)


def _seen(answer: KeptAnswer, response: Response) -> KeptAnswer:
    if any(one.status != 200 for one in answer.answers):
        response.status_code = 207
    return answer
