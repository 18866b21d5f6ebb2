"""Every HTTP operation says who may call it; what is open to anybody is listed here with a reason."""

import ast
from collections.abc import Iterator
from typing import Final

from plumbing.vault import MAY_CALL
from tests.architecture.tree import ROOT, Source, sources

IT_LIVES = "says no more than that the process runs"
OPEN: Final = {
    ("services/request_api/table.py", "GET {BASE}/downloads/{token}"): (
        "the link is the key: 256 random bits that live for minutes and are granted in the log"
    ),
    ("services/request_api/table.py", "GET /livez"): IT_LIVES,
    ("services/request_api/table.py", "GET /openapi.json"): "describes the API and nobody",
    ("services/keyring/app.py", "GET /public-key"): "it is public by nature",
    ("services/keyring/app.py", "GET /livez"): IT_LIVES,
    ("services/keyring/app.py", "GET /readyz"): IT_LIVES,
}
# Pages and answers that come before anybody has signed in.
BEFORE_SIGNING_IN: Final = {"_home", "show_sign_in", "sign_in", "sign_out", "_livez", "_no_icon"}
# Who serves plain routes, and why they are no operations.
PLAIN_ROUTES: Final = {
    "plumbing/web/operations.py": "makes routes of operations",
    "services/dashboard/building.py": "pages, behind a session: see below",
    "devstack/issuer.py": "an issuer of tokens for development; it is how one signs in",
}


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((k.value for k in call.keywords if k.arg == name), None)


def _text(expression: ast.expr | None) -> str:
    """A text as it stands in the source; what is filled in later is named in braces."""
    match expression:
        case ast.Constant(value=str(value)):
            return value
        case ast.JoinedStr(values=values):
            return "".join(_text(value) for value in values)
        case ast.FormattedValue(value=ast.Name(id=name)):
            return f"{{{name}}}"
        case ast.Name(id=name):
            return name
        case _:
            return "?"


def _operations() -> Iterator[tuple[Source, ast.Call]]:
    for source in sources():
        for call in source.calls("Op"):
            yield source, call


def test_every_operation_says_who_may_call_it() -> None:
    silent = [
        f"{source}: {_text(_keyword(call, 'path'))}"
        for source, call in _operations()
        if _keyword(call, "auth") is None
    ]

    assert silent == []


def test_only_what_is_listed_is_open_to_anybody() -> None:
    found = {
        (source.name, f"{_text(_keyword(call, 'method'))} {_text(_keyword(call, 'path'))}")
        for source, call in _operations()
        if isinstance(auth := _keyword(call, "auth"), ast.Constant) and auth.value is None
    }

    assert found == set(OPEN)


def test_every_call_of_the_keyring_names_the_services_that_may_make_it() -> None:
    assert set(MAY_CALL) == {"put", "put_for", "find", "unseal", "open"}
    assert all(MAY_CALL.values())


def test_no_route_is_served_that_is_no_operation() -> None:
    serving = {source.name for source in sources() if list(source.calls("Route", "WebSocketRoute"))}

    assert serving == set(PLAIN_ROUTES)


def _page(name: str) -> ast.AST:
    pages = next(s for s in sources("services") if s.name == "services/dashboard/pages.py")
    return next(function for function in pages.functions() if function.name == name)


def _asks_who_it_is(name: str) -> bool:
    asked = {node.attr for node in ast.walk(_page(name)) if isinstance(node, ast.Attribute)}
    return "_signed_in" in asked or ("_pressed" in asked and _asks_who_it_is("_pressed"))


def test_every_page_but_those_before_signing_in_asks_who_it_is() -> None:
    building = next(s for s in sources("services") if s.name == "services/dashboard/building.py")
    handlers = {_handler(call.args[1]) for call in building.calls("Route")}

    assert handlers >= BEFORE_SIGNING_IN
    assert [h for h in handlers - BEFORE_SIGNING_IN if not _asks_who_it_is(h)] == []


def _handler(expression: ast.expr) -> str:
    assert isinstance(expression, ast.Attribute | ast.Name)
    return expression.attr if isinstance(expression, ast.Attribute) else expression.id


def test_the_list_of_open_operations_is_about_files_that_exist() -> None:
    assert all((ROOT / path).exists() for path, _ in OPEN)
