"""The OpenAPI 3.1 document of an operation table: made from what routes the calls, so it cannot lie."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from plumbing.web.operations import Op
from plumbing.web.problems import PLAIN_JSON, PROBLEM_JSON

_PATH_PARAMETER = re.compile(r"\{(?P<name>[a-z_]+)(?::(?P<kind>[a-z]+))?\}")
_KINDS: Final = {"int": {"type": "integer"}, "float": {"type": "number"}}
_TEXT: Final = {"type": "string"}
_PROBLEM_REF: Final = {"$ref": "#/components/schemas/Problem"}
_FIELD_ERROR: Final = {
    "type": "object",
    "required": ["pointer", "code", "message"],
    "properties": {"pointer": _TEXT, "code": _TEXT, "message": _TEXT},
}
_PROBLEM: Final = {
    "type": "object",
    "description": (
        "RFC 9457. `message` is `detail`; `code` is part of the contract; "
        "`instance` stands where the failure is ours (5xx)."
    ),
    "required": ["type", "title", "status", "detail", "code", "message"],
    "properties": {
        **dict.fromkeys(("type", "title", "detail", "instance", "code", "message"), _TEXT),
        "status": {"type": "integer"},
        "next_step": _TEXT,
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldError"}},
    },
}
Mode = Literal["validation", "serialization"]


@dataclass(frozen=True, slots=True)
class _Schemas:
    """The models of a table as JSON Schema: named definitions and who refers to which."""

    references: Mapping[tuple[Any, Mode], Mapping[str, Any]]
    definitions: Mapping[str, Mapping[str, Any]]

    def reference(self, model: type[BaseModel], mode: Mode) -> Mapping[str, Any]:
        return self.references[model, mode]

    def definition(self, model: type[BaseModel], mode: Mode) -> Mapping[str, Any]:
        name = self.reference(model, mode)["$ref"].rpartition("/")[2]
        return self.definitions[name]


def document(operations: Sequence[Op], *, title: str, version: str) -> dict[str, Any]:
    schemas = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = _PATH_PARAMETER.sub(r"{\g<name>}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {
            "schemas": {**schemas.definitions, "Problem": _PROBLEM, "FieldError": _FIELD_ERROR},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _schemas(operations: Sequence[Op]) -> _Schemas:
    used: dict[tuple[type[BaseModel], Mode], None] = {}
    for operation in operations:
        for model in (operation.request, operation.query):
            if model is not None:
                used[model, "validation"] = None
        if operation.response is not None:
            used[operation.response, "serialization"] = None
    references, whole = models_json_schema(list(used), ref_template="#/components/schemas/{model}")
    return _Schemas(dict(references), whole.get("$defs", {}))


def _operation(operation: Op, schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": operation.id, "summary": operation.summary}
    if parameters := list(_parameters(operation, schemas)):
        described["parameters"] = parameters
    if operation.request is not None:
        schema = schemas.reference(operation.request, "validation")
        described["requestBody"] = {
            "required": operation.request_required,
            "content": {PLAIN_JSON: {"schema": schema}},
        }
    described["responses"] = {str(operation.status): _success(operation, schemas)}
    for status, codes in sorted(_errors(operation).items()):
        described["responses"][str(status)] = {
            "description": f"{HTTPStatus(status).phrase}: {', '.join(sorted(codes))}",
            "content": {
                media_type: {"schema": _PROBLEM_REF} for media_type in (PROBLEM_JSON, PLAIN_JSON)
            },
        }
    described["security"] = (
        [] if operation.auth is None else [{"bearer": sorted(operation.auth.scopes)}]
    )
    return described


def _success(operation: Op, schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase}
    if operation.response is not None:
        schema = schemas.reference(operation.response, "serialization")
        described["content"] = {PLAIN_JSON: {"schema": schema}}
    elif operation.produces:
        described["content"] = {operation.produces: {}}
    return described


def _errors(operation: Op) -> dict[int, set[str]]:
    errors: dict[int, set[str]] = {500: {"INTERNAL"}}
    pairs = list(operation.errors)
    if operation.auth is not None:
        pairs += [(401, "AUTHENTICATION_FAILED"), (403, "FORBIDDEN"), (503, "UNAVAILABLE")]
    if operation.request is not None:
        pairs += [(400, "VALIDATION_FAILED"), (413, "BODY_TOO_LARGE")]
        pairs += [(415, "MEDIA_TYPE_UNSUPPORTED")]
    if operation.request is not None or operation.query is not None:
        pairs += [(422, "VALIDATION_FAILED")]
    if any(header.required for header in operation.headers):
        pairs += [(400, "VALIDATION_FAILED")]
    for status, code in pairs:
        errors.setdefault(status, set()).add(code)
    return errors


def _parameters(operation: Op, schemas: _Schemas) -> Iterator[dict[str, Any]]:
    for match in _PATH_PARAMETER.finditer(operation.path):
        schema = _KINDS.get(match["kind"] or "", _TEXT)
        yield {"name": match["name"], "in": "path", "required": True, "schema": schema}
    if operation.query is not None:
        definition = schemas.definition(operation.query, "validation")
        required = definition.get("required", ())
        for name, described in definition.get("properties", {}).items():
            yield {"name": name, "in": "query", "required": name in required, "schema": described}
    for header in operation.headers:
        yield {
            "name": header.name,
            "in": "header",
            "required": header.required,
            "description": header.description,
            "schema": _TEXT,
        }
