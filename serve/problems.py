"""Every error of the HTTP interface in one shape: `{"error": {code, message, field, type}}`."""

import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from serve.schemas import ErrorAnswer, ErrorBody
from xmodal.errors import (
    DeadlineExceeded,
    FilterError,
    Overloaded,
    QueryError,
    RequestError,
    UnknownProduct,
    XmodalError,
)

log = logging.getLogger(__name__)

_KINDS = {404: "not_found", 408: "timeout", 429: "overloaded", 503: "overloaded", 504: "timeout"}
_CODES = {400: "bad_json", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}
_VALIDATION = {
    "extra_forbidden": "unknown_field",
    "json_invalid": "bad_json",
    "string_too_short": "empty",
    "string_too_long": "too_large",
    "too_long": "too_large",
}
_OURS: dict[type[XmodalError], tuple[int, str, str | None]] = {
    UnknownProduct: (404, "not_found", "product_id"),
    FilterError: (400, "unknown_attribute", "filter"),
    QueryError: (400, "bad_image", "image"),
    Overloaded: (429, "overloaded", None),
    DeadlineExceeded: (504, "deadline_exceeded", "deadline_ms"),
}


class Problem(HTTPException):
    """An answer of 400 and above, known beforehand.

    An HTTPException, because FastAPI turns every other error met while it reads a body into one.
    """

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(status, message)
        self.status, self.code, self.message, self.field = status, code, message, field


def problem_of(error: XmodalError) -> Problem:
    """The answer for an error of ours."""
    if isinstance(error, RequestError):
        return Problem(400, error.code, str(error), error.field)
    for kind, (status, code, field) in _OURS.items():
        if isinstance(error, kind):
            return Problem(status, code, str(error), field)
    return Problem(500, "internal", str(error))


def add_handlers(api: FastAPI) -> None:
    """Give `api` the one shape for all its errors."""
    api.add_exception_handler(Problem, _problem)
    api.add_exception_handler(XmodalError, _ours)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(Exception, _unforeseen)


def invalid(first: Mapping[str, Any], model: Any, place: Sequence[Any]) -> Problem:
    """The first thing wrong with a request; one at a time is what people mend.

    Args:
        first: pydantic's error.
        model: of the body, whose fields are named where one is unknown.
        place: where it is, from the body down.
    """
    steps = [str(step) for step in place]
    if steps[0:1] == ["text"]:  # which kind of text it was taken for is nothing to a caller
        steps = ["text", *steps[2:]]
    field = steps[0] if steps and first["type"] != "json_invalid" else None
    code = _VALIDATION.get(first["type"], "invalid")
    message = str(first["msg"]).removeprefix("Value error, ")
    if code == "unknown_field":
        message = f"unknown field {steps[-1]!r}"
        if len(steps) == 1:
            message = f"unknown field; give {', '.join(getattr(model, 'model_fields', ()))}"
    if field is None and code == "invalid" and "give `text`" in message:
        code = "no_query"
    if field == "image":
        code = "too_large" if "may have" in message or code == "too_large" else "bad_image"
    return Problem(400, code, message, ".".join(steps[:2]) if field else None)


def body_of(problem: Problem) -> ErrorBody:
    """What an answer says of a problem."""
    kind = _KINDS.get(problem.status, "internal" if problem.status >= 500 else "invalid_request")
    return ErrorBody(code=problem.code, message=problem.message, field=problem.field, type=kind)


def render(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The HTTP answer of a problem."""
    answer = ErrorAnswer(error=body_of(problem)).model_dump()
    if problem.status == 429:
        headers = {"Retry-After": "1", **(headers or {})}
    return JSONResponse(answer, problem.status, headers=dict(headers or {}))


async def _problem(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return render(error)


async def _ours(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, XmodalError)
    problem = problem_of(error)
    if problem.status >= 500:
        log.error("event=error message=%s", error)
    return render(problem)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = getattr(request.scope.get("route"), "body_field", None)
    return render(invalid(first, getattr(field, "type_", None), first["loc"][1:]))


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "http_error")
    message = str(error.detail)
    if error.status_code == 400:  # FastAPI's only one: a body that breaks the JSON reader
        message = "the body is no JSON in UTF-8, or nested too deeply"
    return render(Problem(error.status_code, code, message), error.headers)


async def _unforeseen(_: Request, error: Exception) -> JSONResponse:
    """The message stays in the log, under an id that the caller can name."""
    number = secrets.token_hex(4)
    log.error("event=unforeseen id=%s", number, exc_info=error)
    return render(Problem(500, "internal", f"something broke; it is in the log as {number}"))
