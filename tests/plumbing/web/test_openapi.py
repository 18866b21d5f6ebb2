"""The OpenAPI document: made from the table, whole in itself, with stable names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from plumbing.web import document
from tests.plumbing.web.test_operations import OPERATIONS


@pytest.fixture
def api() -> dict[str, Any]:
    return document(OPERATIONS, title="habeas", version="1.0")


def test_every_operation_is_documented_and_no_other(api: dict[str, Any]) -> None:
    documented = {
        (method.upper(), path) for path, methods in api["paths"].items() for method in methods
    }

    assert documented == {(operation.method, operation.path) for operation in OPERATIONS}
    identities = [
        operation["operationId"]
        for methods in api["paths"].values()
        for operation in methods.values()
    ]
    assert len(set(identities)) == len(identities)


def test_every_reference_leads_somewhere(api: dict[str, Any]) -> None:
    def references(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                yield part["$ref"]
            for value in part.values():
                yield from references(value)
        elif isinstance(part, list):
            for value in part:
                yield from references(value)

    found = set(references(api))

    assert found
    for reference in found:
        target = api
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


def test_schemas_have_the_names_of_their_models(api: dict[str, Any]) -> None:
    assert {"FileExport", "Filed", "Listing", "Format", "Problem", "FieldError"} == set(
        api["components"]["schemas"]
    )


def test_an_operation_says_what_it_takes_gives_and_refuses(api: dict[str, Any]) -> None:
    filing = api["paths"]["/exports"]["post"]

    content = filing["requestBody"]["content"]["application/json"]
    assert content["schema"] == {"$ref": "#/components/schemas/FileExport"}
    assert set(filing["responses"]) == {
        "202", "400", "401", "403", "409", "413", "415", "422", "500", "503",
    }  # fmt: skip
    conflict = filing["responses"]["409"]
    assert conflict["description"] == "Conflict: CONFLICT_GDPR_EXPORT"
    assert set(conflict["content"]) == {"application/problem+json", "application/json"}
    assert filing["security"] == [{"bearer": ["requests:file"]}]
    assert api["paths"]["/ping"]["get"]["security"] == []


def test_parameters_come_from_path_query_and_headers(api: dict[str, Any]) -> None:
    def parameters(path: str, method: str) -> list[tuple[str, str, bool]]:
        found = api["paths"][path][method]["parameters"]
        return [(entry["in"], entry["name"], entry["required"]) for entry in found]

    assert parameters("/exports/{ref}", "get") == [("path", "ref", True)]
    assert parameters("/exports", "get") == [("query", "limit", False), ("query", "status", False)]
    assert parameters("/erase", "post") == [("header", "Idempotency-Key", True)]


def test_the_document_is_json_and_the_same_each_time(api: dict[str, Any]) -> None:
    again = document(OPERATIONS, title="habeas", version="1.0")

    assert json.dumps(api) == json.dumps(again)
