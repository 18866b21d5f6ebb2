"""What stands before every page: headers, and whose forms are taken."""

from __future__ import annotations

import httpx2
import pytest
from starlette.datastructures import Headers

from services.dashboard.guards import is_ours
from tests.services.dashboard.browser import FROM_OUR_PAGE, Page
from tests.services.dashboard.stage import Stage

HOME = "/account/privacy"
OURS = "https://privacy.example.org"
EVIL = "https://evil.example"
CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
ACTS = (
    "/sign-out",
    f"{HOME}/export",
    f"{HOME}/requests/EXP-2026-00064/cancel",
    f"{HOME}/requests/EXP-2026-00064/download",
)


@pytest.mark.parametrize(
    ("site", "origin", "taken"),
    [
        ("same-origin", OURS, True),
        # Our own Referrer-Policy has browsers say so.
        ("same-origin", "null", True),
        ("same-origin", "", True),
        ("same-origin", EVIL, False),
        ("same-site", "null", False),
        ("cross-site", EVIL, False),
        ("cross-site", OURS, False),
        ("none", "", False),
        ("", OURS, True),
        ("", EVIL, False),
        ("", "null", False),
        ("", "", False),
        ("", "http://privacy.example.org", False),
        ("", f"{OURS}.evil.example", False),
    ],
)
def test_forms_are_taken_from_our_own_pages_only(site: str, origin: str, *, taken: bool) -> None:
    headers = {"sec-fetch-site": site, "origin": origin}
    sent = Headers({name: value for name, value in headers.items() if value})
    assert is_ours(sent, OURS) is taken


def test_a_form_from_elsewhere_is_refused_and_nothing_is_done(stage: Stage) -> None:
    person = stage.member()
    with stage.signed_in(person) as browser:
        fields = browser.open(HOME).form("Export my data").fields
        for headers in ({"Sec-Fetch-Site": "cross-site", "Origin": EVIL}, {}):
            answer = browser.client.post(f"{HOME}/export", data=fields, headers=headers)
            assert answer.status_code == 403
            assert "does not come from our own pages" in Page(answer).words
        out = browser.client.post("/sign-out", headers={"Sec-Fetch-Site": "same-site"})
        assert out.status_code == 403
        assert browser.client.get(HOME).status_code == 200
    assert stage.filed_by(person) == []


@pytest.mark.parametrize("path", ACTS)
def test_looking_changes_nothing(stage: Stage, path: str) -> None:
    with stage.signed_in(stage.member()) as browser:
        assert browser.client.get(path).status_code == 405


def test_a_form_without_its_key_or_of_another_kind_is_refused(stage: Stage) -> None:
    person = stage.member()
    with stage.signed_in(person) as browser:

        def sent(content: bytes, kind: str = "application/x-www-form-urlencoded") -> int:
            headers = FROM_OUR_PAGE | {"Content-Type": kind}
            return browser.client.post(
                f"{HOME}/export", content=content, headers=headers
            ).status_code

        assert sent(b"") == 400
        assert sent(b"key=" + b"Z" * 32) == 400
        assert sent(b"key=%FF") == 400
        assert sent("key=é".encode()) == 400
        assert sent(b"a=1&" * 100) == 400
        assert sent(b"key=" + b"0" * 20_000) == 413
        assert sent(b'{"key": "00000000000000000000000000000000"}', "application/json") == 415
        assert sent(b"key=" + b"0" * 32, "text/plain") == 415
    assert stage.filed_by(person) == []


def test_every_answer_is_guarded(stage: Stage) -> None:
    with stage.signed_in(stage.member()) as browser:
        page = browser.open(HOME)
        answers: list[httpx2.Response] = [
            page.answer,
            browser.client.get("/"),
            browser.client.get("/livez"),
            browser.client.get("/favicon.ico"),
            browser.client.get("/nothing-here"),
            browser.client.get("/static/nothing-here"),
            browser.client.get("/static/habeas.css"),
            browser.client.post(f"{HOME}/export"),
            browser.send(page.form("Export my data")),
        ]
    for answer in answers:
        assert answer.headers["content-security-policy"] == CSP
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
    kept = [answer.headers["cache-control"] for answer in answers]
    assert kept.count("no-store") == len(kept) - 2
    # The style sheet has nothing personal; it is asked for again, not loaded again.
    assert [answer.headers["cache-control"] for answer in answers[5:7]] == ["no-cache"] * 2


def test_pages_run_nothing_and_load_nothing_from_elsewhere(stage: Stage) -> None:
    with stage.signed_in(stage.member()) as browser:
        asked = browser.press(browser.open(HOME), "Export my data")
        pages = [
            asked,
            browser.open(HOME),
            browser.open(f"{HOME}/delete"),
            browser.open("/sign-in"),
            browser.open("/nothing-here"),
        ]
    for page in pages:
        assert page.answer.headers["content-type"] == "text/html; charset=utf-8"
        assert [tag for tag, _ in page.tags].count("h1") == 1
        for tag, had in page.tags:
            assert tag not in {"script", "style", "img", "iframe", "object"}
            assert not [name for name in had if name == "style" or name.startswith("on")]
            address = had.get("href") or had.get("action") or had.get("src") or "/"
            assert address.startswith(("/", "#"))
            assert not address.startswith("//")
