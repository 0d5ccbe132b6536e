"""The HTTP interface over a `Service`: routes, their documentation, the page. No Ray here."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST

from serve.embeddings import EmbeddingsAnswer, EmbeddingsRequest
from serve.limits import Limits
from serve.problems import Problem, add_handlers, render
from serve.products import add_changes
from serve.schemas import (
    BatchAnswer,
    BatchRequest,
    ErrorAnswer,
    ExplainAnswer,
    ExplainRequest,
    FacetsAnswer,
    Health,
    ProductAnswer,
    RecommendRequest,
    SearchAnswer,
    SearchRequest,
    SuggestAnswer,
)
from serve.service import Service, as_wish
from serve.telemetry import Counted
from xmodal import __version__
from xmodal.search.query import Related

UI = Path(__file__).parent / "ui"
_STARTS = {
    b"\xff\xd8": "image/jpeg",
    b"\x89PNG": "image/png",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
    b"BM": "image/bmp",
}
_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorAnswer, "description": "The request cannot be answered as it stands"},
    413: {"model": ErrorAnswer, "description": "The request is too large"},
    429: {"model": ErrorAnswer, "description": "Too many requests at once; try again"},
    500: {"model": ErrorAnswer, "description": "Something broke here"},
    504: {"model": ErrorAnswer, "description": "No answer in time"},
}
_MOVED: dict[int | str, dict[str, Any]] = {
    410: {"model": ErrorAnswer, "description": "The cursor's release is no longer open"}
}
_GONE: dict[int | str, dict[str, Any]] = {404: {"model": ErrorAnswer, "description": "Not there"}}


def make_api(service: Service) -> FastAPI:
    """All routes. `service` must have been started before requests come."""
    api = FastAPI(
        title="xmodal",
        version=__version__,
        summary="Search a catalogue by text, by picture, or by both.",
        docs_url=None,
        redoc_url=None,
    )
    add_handlers(api)
    api.add_middleware(Limits)
    api.add_middleware(Counted, service=service)
    _add_search(api, service)
    _add_products(api, service)
    add_changes(api, service, _ERRORS)
    _add_health(api, service)
    _add_pages(api)
    _document_only_what_is_sent(api)
    return api


def _add_search(api: FastAPI, service: Service) -> None:
    @api.post("/v1/search", responses=_ERRORS | _MOVED)
    async def search(request: SearchRequest) -> SearchAnswer:
        """The products that fit best, best first, a page at a time."""
        return await service.search(request)

    @api.post("/v1/search:batch", responses=_ERRORS | {207: {"model": BatchAnswer}})
    async def batch(request: BatchRequest, response: Response) -> BatchAnswer:
        """Several searches at once; 207 where any of them failed, each with its own status."""
        answers = await service.batch(request.queries)
        if any(one.status != 200 for one in answers):
            response.status_code = 207
        return BatchAnswer(answers=answers)

    @api.post("/v1/recommend", responses={**_ERRORS, **_GONE})
    async def recommend(request: RecommendRequest) -> SearchAnswer:
        """Products near to those of a basket or a session, by stored vectors."""
        return await service.related(as_wish(request), request.deadline_ms)

    @api.post("/v1/embeddings", responses=_ERRORS)
    async def embeddings(request: EmbeddingsRequest) -> EmbeddingsAnswer:
        """Vectors of texts and pictures, in the shape of OpenAI's API."""
        return await service.embed(request)

    @api.post("/v1/explain", responses={**_ERRORS, **_GONE})
    async def explain(request: ExplainRequest) -> ExplainAnswer:
        """The words of a text and the regions of a product's picture that made its score."""
        return await service.explain(request)

    @api.get("/v1/suggest", responses=_ERRORS)
    async def suggest(
        q: Annotated[str, Query(max_length=200)], limit: Annotated[int, Query(ge=1, le=20)] = 8
    ) -> SuggestAnswer:
        """Type-ahead: titles that go on from `q`, words mistyped by a letter or two included."""
        return SuggestAnswer(suggestions=await service.suggest(q, limit))

    @api.get("/v1/facets", responses=_ERRORS)
    async def facets() -> FacetsAnswer:
        """What `filter` can ask for: attributes of few values, with counts."""
        return FacetsAnswer(facets=await service.facets())


def _add_products(api: FastAPI, service: Service) -> None:
    @api.get("/v1/products/{product_id:path}/image", responses={**_ERRORS, **_GONE})
    async def image(
        request: Request, product_id: str, number: Annotated[int, Query(ge=0)] = 0
    ) -> Response:
        """A picture of the product, as the catalogue has it."""
        picture = await service.picture(product_id, number)
        headers = {"Cache-Control": "public, max-age=300", "ETag": picture.etag}
        if picture.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        content = picture.content
        media = next((kind for start, kind in _STARTS.items() if content.startswith(start)), None)
        headers["X-Content-Type-Options"] = "nosniff"
        return Response(content, media_type=media or "application/octet-stream", headers=headers)

    @api.get("/v1/products/{product_id:path}/similar", responses={**_ERRORS, **_GONE})
    async def similar(
        product_id: str,
        limit: Annotated[int, Query(ge=1, le=100)] = 10,
        diversity: Annotated[float, Query(ge=0, le=1)] = 0.0,
    ) -> SearchAnswer:
        """Products that look and are like this one, by stored vectors."""
        return await service.related(Related({product_id: 1.0}, limit, diversity=diversity))

    @api.get("/v1/products/{product_id:path}", responses={**_ERRORS, **_GONE})
    async def product(product_id: str) -> ProductAnswer:
        """Everything the catalogue shows of a product."""
        return ProductAnswer.model_validate(await service.product(product_id), from_attributes=True)


def _add_health(api: FastAPI, service: Service) -> None:
    @api.get("/healthz")
    async def healthz() -> Health:
        """The process answers."""
        return Health(status="ok")

    @api.get("/readyz", response_model=Health, responses={503: {"model": ErrorAnswer}})
    async def readyz() -> Health | JSONResponse:
        """A release is open and warm; `problem` says why a newer one is not."""
        live = service.holder.live
        await service.rules.follow()
        if live is None:
            return render(Problem(503, "not_ready", "no release is open yet"))
        problem = service.holder.problem or live.part.live.problem or service.rules.problem
        return Health(status="ready", release=live.release.id, problem=problem)

    @api.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        """For Prometheus."""
        return Response(service.telemetry.text(), media_type=CONTENT_TYPE_LATEST)


def _add_pages(api: FastAPI) -> None:
    @api.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="xmodal",
            swagger_js_url="/docs/assets/swagger-ui-bundle.js",
            swagger_css_url="/docs/assets/swagger-ui.css",
            swagger_favicon_url="/docs/assets/favicon.png",
        )

    # Assets from the package beside us, not from a CDN: the page works without a network.
    assets = StaticFiles(packages=[("fastapi_offline", "static")])
    api.mount("/docs/assets", assets, name="assets")

    @api.get("/{name}", include_in_schema=False)
    @api.get("/", include_in_schema=False)
    async def page(name: str = "index.html") -> FileResponse:
        """The search page and the files beside it: no mount, which would swallow every 405."""
        if name not in {path.name for path in UI.iterdir()}:
            raise Problem(404, "not_found", f"nothing is at /{name}; see /docs")
        # Asked for anew each time (304 where it is the same): page and scripts are of one version.
        return FileResponse(UI / name, headers={"Cache-Control": "no-cache"})


def _document_only_what_is_sent(api: FastAPI) -> None:
    """FastAPI documents its own 422, which `problems.py` answers as 400 in our shape."""
    made = api.openapi

    def openapi() -> dict[str, Any]:
        schema = made()
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            schema["components"]["schemas"].pop(name, None)
        return schema

    api.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to change it
