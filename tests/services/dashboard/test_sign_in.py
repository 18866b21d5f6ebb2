"""Signing in and out, against the embedded stack's issuer."""

from __future__ import annotations

from datetime import timedelta

import pytest
from starlette.responses import Response

from plumbing.web import Problem, WebServer, respond
from services.dashboard.sessions import IDLE
from tests.services.dashboard.browser import FROM_OUR_PAGE, Browser
from tests.services.dashboard.stage import HOST, NOWHERE, Stage, password_of

HOME = "/account/privacy"


def session_of(browser: Browser) -> str:
    return browser.client.cookies["session"]


def is_signed_in(browser: Browser) -> bool:
    return browser.client.get(HOME).status_code == 200


def test_a_person_signs_in_and_comes_to_the_page_they_wanted(stage: Stage) -> None:
    person = stage.member()
    with stage.browser() as browser:
        page = browser.sign_in(person.email, password_of(person), at=f"{HOME}/delete")
    assert page.answer.url.path == f"{HOME}/delete"
    assert f"Signed in as {person.email} , acme-wellbeing" in page.words


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example/account/", "/account/../x", "/sign-out"]
)
def test_signing_in_leads_to_no_page_but_our_own(stage: Stage, wanted: str) -> None:
    person = stage.member()
    with stage.browser() as browser:
        form = browser.open("/sign-in").form("Sign in")
        form.fields |= {"next": wanted, "email": person.email, "password": password_of(person)}
        answer = browser.client.post(form.action, data=form.fields, headers=FROM_OUR_PAGE)
    assert answer.headers["location"] == HOME


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(stage: Stage) -> None:
    person = stage.member()
    with stage.browser() as browser:
        wrong = browser.sign_in(person.email, "not it")
        unknown = browser.sign_in("nobody@example.org", "not it")
        empty = browser.sign_in(person.email, "")
    assert wrong.status == unknown.status == empty.status == 422
    assert wrong.words == unknown.words == empty.words
    assert wrong.title.startswith("Error: ")
    assert "session" not in browser.client.cookies


def test_what_was_typed_is_shown_again_as_text_and_the_password_never(stage: Stage) -> None:
    typed = '"><script>alert(1)</script>@example.org'
    with stage.browser() as browser:
        page = browser.sign_in(typed, "sesame-sesame")
    assert page.form("Sign in").fields["email"] == typed
    assert [tag for tag, _ in page.tags if tag == "script"] == []
    assert "sesame-sesame" not in page.answer.text


def test_the_session_gets_a_new_id_at_each_sign_in(stage: Stage) -> None:
    person = stage.member()
    with stage.signed_in(person) as browser:
        first = session_of(browser)
        page = browser.open("/sign-in")
        browser.press(page, "Sign in", email=person.email, password=password_of(person))
        assert session_of(browser) != first
        assert is_signed_in(browser)
        browser.client.cookies.clear()
        browser.client.cookies.set("session", first)
        assert not is_signed_in(browser)


def test_an_id_that_the_browser_brings_along_is_never_taken_over(stage: Stage) -> None:
    person = stage.member()
    with stage.browser() as browser:
        browser.client.cookies.set("session", "chosen-by-somebody-else", domain=HOST)
        browser.sign_in(person.email, password_of(person))
        given = [c.value for c in browser.client.cookies.jar if c.name == "session"]
    assert given != ["chosen-by-somebody-else"]


def test_the_cookie_is_for_this_site_and_for_no_script(stage: Stage) -> None:
    person = stage.member()
    typed = {"email": person.email, "password": password_of(person)}
    secure = {"pages_url": "https://privacy.example.org"}
    for changes, name, is_secure in (({}, "session", False), (secure, "__Host-session", True)):
        with stage.dashboard(**changes) as url, stage.browser(url) as browser:
            answer = browser.client.post("/sign-in", data=typed, headers=FROM_OUR_PAGE)
        pair, *attributes = answer.headers["set-cookie"].split("; ")
        assert pair.startswith(f"{name}=")
        # 256 random bits.
        assert len(pair.partition("=")[2]) == 43
        wanted = {"HttpOnly", "Path=/", "SameSite=lax"} | ({"Secure"} if is_secure else set())
        assert set(attributes) == wanted


def test_signing_out_ends_the_session_and_only_a_form_does_it(stage: Stage) -> None:
    with stage.signed_in(stage.member()) as browser:
        before = session_of(browser)
        assert browser.client.get("/sign-out").status_code == 405
        assert is_signed_in(browser)
        browser.press(browser.open(HOME), "Sign out")
        assert "session" not in browser.client.cookies
        browser.client.cookies.set("session", before)
        assert not is_signed_in(browser)


def test_a_session_ends_when_nobody_was_there_for_half_an_hour(stage: Stage) -> None:
    with stage.signed_in(stage.member()) as browser:
        for _ in range(2):
            stage.clock.advance(IDLE - timedelta(seconds=1))
            assert is_signed_in(browser)
        stage.clock.advance(IDLE)
        ended = browser.open(HOME)
    assert "Your session has ended." in ended.words
    assert "session" not in browser.client.cookies


def test_a_page_that_reloads_itself_keeps_nobody_signed_in(stage: Stage) -> None:
    with stage.signed_in(stage.member()) as browser:
        stage.clock.advance(IDLE - timedelta(seconds=1))
        assert browser.client.get(f"{HOME}?watch=1").status_code == 200
        stage.clock.advance(timedelta(seconds=1))
        assert not is_signed_in(browser)


def test_a_button_of_a_session_that_has_ended_leads_to_signing_in(stage: Stage) -> None:
    person = stage.member()
    with stage.signed_in(person) as browser:
        form = browser.open(HOME).form("Export my data")
        stage.clock.advance(IDLE)
        answer = browser.send(form)
    assert answer.url.path == "/sign-in"
    assert stage.filed_by(person) == []


def test_when_the_api_takes_the_token_no_more_the_session_is_over(stage: Stage) -> None:
    asked: list[str] = []

    async def refusing(scope: dict[str, object], receive: object, send: object) -> None:
        answer: Response = respond(Problem(401, "AUTHENTICATION_FAILED", "Authentication failed."))
        if scope["type"] == "http":
            asked.append(str(scope["path"]))
            await answer(scope, receive, send)  # type: ignore[arg-type] # as ASGI has them

    person = stage.member()
    typed = {"email": person.email, "password": password_of(person)}
    with (
        WebServer(refusing, HOST, 0) as api,
        stage.dashboard(request_api=api.url) as url,
        stage.browser(url) as browser,
    ):
        browser.client.post("/sign-in", data=typed, headers=FROM_OUR_PAGE)
        session = session_of(browser)
        page = browser.open(HOME)
        assert "session" not in browser.client.cookies
        browser.client.cookies.set("session", session)
        browser.open(HOME)
    assert page.answer.url.path == "/sign-in"
    assert "Your session has ended." in page.words
    assert len(asked) == 1


def test_while_the_issuer_is_away_nobody_is_called_wrong(stage: Stage) -> None:
    with stage.dashboard(issuer=NOWHERE) as url, stage.browser(url) as browser:
        page = browser.sign_in("ines@example.org", "quiet-harbour")
    assert page.status == 503
    assert "You cannot be signed in at the moment." in page.words


def test_a_discovery_document_of_another_issuer_gets_no_password(stage: Stage) -> None:
    # The same issuer under another name: its document names the first.
    other = stage.issuer_url.replace(HOST, "localhost")
    person = stage.member()
    with stage.dashboard(issuer=other) as url, stage.browser(url) as browser:
        before = stage.asked_of_issuer.count("/token")
        assert browser.sign_in(person.email, password_of(person)).status == 503
    assert stage.asked_of_issuer.count("/token") == before


def test_nothing_about_a_person_is_logged(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    person = stage.member()
    with stage.signed_in(person) as browser:
        browser.sign_in(person.email, "not it", at="/sign-in")
        browser.press(browser.open(HOME), "Export my data")
        browser.open(f"{HOME}/requests/EXP-2026-99999")
        session = session_of(browser)
        browser.press(browser.open(HOME), "Sign out")
    logged = capsys.readouterr().err
    assert "signed_in" in logged
    for private in (person.email, person.name, person.stable_id, session, "not it", "eyJ"):
        assert private not in logged
