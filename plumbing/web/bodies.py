"""What callers send, read within limits and checked against a model.

Rule 1: an error never repeats what was sent, not even a name the caller made up.
Rule 2: unreadable is 400, readable but wrong is 422, both with the code VALIDATION_FAILED.
"""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.datastructures import QueryParams
from starlette.requests import Request

from plumbing.web.problems import FieldError, Problem, of_status

_M = TypeVar("_M", bound=BaseModel)
_ERRORS_MAX: Final = 20
_OWN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_JSON_TYPES = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json")
_COLLECTIONS: Final = frozenset({list, tuple, set, frozenset})
# Pydantic's own sentences may quote the value ("found `z` at 1"), so they are ours.
_SENTENCES: Final[Mapping[str, str]] = {
    "missing": "This is required.",
    "extra_forbidden": "There is no such field.",
    "string_too_short": "This is shorter than {min_length} characters.",
    "string_too_long": "This is longer than {max_length} characters.",
    "too_short": "This has fewer than {min_length} entries.",
    "too_long": "This has more than {max_length} entries.",
    "greater_than": "This is not more than {gt}.",
    "greater_than_equal": "This is less than {ge}.",
    "less_than": "This is not less than {lt}.",
    "less_than_equal": "This is more than {le}.",
    "literal_error": "This is not one of {expected}.",
    "enum": "This is not one of {expected}.",
    "string_type": "This is not a text.",
    "bool_type": "This is neither true nor false.",
    "int_type": "This is not a whole number.",
    "list_type": "This is not a list.",
    "model_type": "This is not an object.",
    "dict_type": "This is not an object.",
}


class Wire(BaseModel):
    """Base of every model that callers fill in: no unknown fields, and it never shows its input."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


async def read_body(request: Request, bytes_max: int) -> bytes:
    """The whole body, or 413 as soon as it is known to be too long."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > bytes_max:
        raise of_status(413)
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > bytes_max:
            raise of_status(413)
    return bytes(body)


def require_json(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not _JSON_TYPES.fullmatch(media_type):
        raise Problem(415, "MEDIA_TYPE_UNSUPPORTED", "The body must be application/json.")


def parse_body(model: type[_M], body: bytes) -> _M:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _problem(error, "") from None


def parse_query(model: type[_M], query: QueryParams) -> _M:
    """Query parameters as a model; one that is a collection there may be repeated."""
    lists = {
        field.alias or name
        for name, field in model.model_fields.items()
        if get_origin(field.annotation) in _COLLECTIONS
    }
    values: dict[str, Any] = {}
    for name in query:
        given = query.getlist(name)
        if name not in lists and len(given) > 1:
            raise _failed(
                422, [FieldError(pointer="/query", code="REPEATED", message="Once only.")]
            )
        values[name] = given if name in lists else given[0]
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _problem(error, "/query") from None


def _problem(error: ValidationError, root: str) -> Problem:
    details = error.errors(include_url=False, include_input=False)
    if any(detail["type"] == "json_invalid" for detail in details):
        unreadable = FieldError(pointer=root, code="JSON_INVALID", message="This is not JSON.")
        return _failed(HTTPStatus.BAD_REQUEST, [unreadable])
    return _failed(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        (
            FieldError(
                pointer=root + _pointer(detail["loc"]),
                code=detail["type"].upper(),
                message=_sentence(detail["type"], detail.get("ctx", {})),
            )
            for detail in details[:_ERRORS_MAX]
        ),
    )


def _failed(status: int, errors: Iterable[FieldError]) -> Problem:
    return Problem(
        status,
        "VALIDATION_FAILED",
        "The request is not valid.",
        next_step="Correct the fields named in errors and send it again.",
        errors=tuple(errors),
    )


def _pointer(place: tuple[int | str, ...]) -> str:
    """RFC 6901, ending before the first name that only the caller can have made up."""
    steps = []
    for step in place:
        if isinstance(step, str) and not _OWN_NAME.fullmatch(step):
            break
        steps.append(f"/{step}")
    return "".join(steps)


def _sentence(kind: str, context: Mapping[str, Any]) -> str:
    try:
        return _SENTENCES[kind].format_map(context)
    except KeyError:
        return "This is not valid."
