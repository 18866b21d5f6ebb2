"""What a person does on the pages, against the real request API."""

from __future__ import annotations

import hashlib
import itertools
import os

import httpx2
import pytest

from plumbing.objects import StoreUnavailable
from services.dashboard.api import PAGE_SIZE
from tests.services.dashboard.browser import FROM_OUR_PAGE, Browser, Page
from tests.services.dashboard.stage import NOWHERE, Stage
from tests.services.request_api.workers import FILE_NAME
from tests.support.waiting import until

HOME = "/account/privacy"


def file_export(browser: Browser) -> str:
    """Press the button; the reference of what was filed."""
    page = browser.press(browser.open(HOME), "Export my data")
    assert page.status == 200
    return str(page.answer.url).rpartition("/")[2]


def once_ready(browser: Browser, reference: str) -> Page:
    """The page of an export, once the views know that it is sealed."""

    def look() -> list[Page]:
        page = browser.open(f"{HOME}/requests/{reference}")
        return [page] if page.has_button("Download") else []

    return until(look)[0]


def test_an_export_is_asked_for_followed_and_downloaded_byte_for_byte(stage: Stage) -> None:
    archive = os.urandom(300_000)
    with stage.signed_in(stage.member()) as browser:
        asked = browser.press(browser.open(HOME), "Export my data")
        reference = asked.title.split()[2].rstrip(",")
        assert "Requested" in asked.words
        assert "A copy of the data was requested, by the person." in asked.words

        stage.seal(reference, archive)
        done = once_ready(browser, reference)
        fetched = browser.send(done.form("Download"))

    assert "Ready until 28 November 2026" in done.words
    assert fetched.content == archive
    assert fetched.headers["content-disposition"] == f'attachment; filename="{FILE_NAME}"'
    assert fetched.headers["content-length"] == str(len(archive))
    assert fetched.headers["content-type"] == "application/zip"
    assert "repr-digest" in fetched.headers


def test_a_page_reloads_itself_while_a_request_runs_and_not_afterwards(stage: Stage) -> None:
    def reloads(page: Page) -> list[str | None]:
        return [had["content"] for tag, had in page.tags if had.get("http-equiv") == "refresh"]

    with stage.signed_in(stage.member()) as browser:
        reference = file_export(browser)
        path = f"{HOME}/requests/{reference}"
        assert reloads(browser.open(path)) == [f"3; url={path}?watch=1"]
        stage.seal(reference, b"PK")
        assert reloads(once_ready(browser, reference)) == []


def test_pressing_a_button_twice_asks_once(stage: Stage) -> None:
    person = stage.member()
    with stage.signed_in(person) as browser:
        form = browser.open(HOME).form("Export my data")
        first, second = browser.send(form), browser.send(form)
    assert first.status_code == second.status_code == 200
    assert first.url == second.url
    assert len(stage.filed_by(person)) == 1


def test_a_running_export_can_be_cancelled_from_the_list(stage: Stage) -> None:
    with stage.signed_in(stage.member()) as browser:
        reference = file_export(browser)
        cancelled = browser.press(browser.open(HOME), "Cancel")
        listed = browser.open(HOME)
    assert "Cancelled" in cancelled.words
    assert not cancelled.has_button("Cancel")
    assert f"{reference} Data export Cancelled" in listed.words


def test_a_deletion_is_asked_for_on_a_page_of_its_own_and_can_be_taken_back(stage: Stage) -> None:
    person = stage.member()
    with stage.signed_in(person) as browser:
        assert f"{HOME}/delete" in browser.open(HOME).links
        check = browser.open(f"{HOME}/delete")
        assert person.email in check.words
        assert stage.filed_by(person) == []

        asked = browser.press(check, "Request deletion")
        assert "Scheduled for deletion on 21 December 2026" in asked.words
        taken_back = browser.press(asked, "Cancel deletion")
    assert "Cancelled" in taken_back.words
    assert len(stage.filed_by(person)) == 1


def test_what_the_api_refuses_is_a_page_with_its_sentence_and_the_next_step(stage: Stage) -> None:
    person = stage.member()
    with stage.signed_in(person) as browser:
        browser.press(browser.open(f"{HOME}/delete"), "Request deletion")
        refused = browser.press(browser.open(f"{HOME}/delete"), "Request deletion")
    assert refused.status == 409
    assert refused.title.startswith("Error: An erasure is already open for this account.")
    assert "cancel it while its grace period runs" in refused.words
    assert not refused.has_button("Try again")


def test_anothers_request_is_not_found_exactly_as_one_that_does_not_exist(stage: Stage) -> None:
    with stage.signed_in(stage.member()) as other:
        theirs = file_export(other)
    stage.seal(theirs, b"PK")
    key = {"key": "0" * 32}
    with stage.signed_in(stage.member()) as browser:
        own = file_export(browser)
        for action in ("", "/download", "/cancel"):
            answers = [
                browser.client.request(
                    "POST" if action else "GET",
                    f"{HOME}/requests/{reference}{action}",
                    data=key if action else None,
                    headers=FROM_OUR_PAGE,
                )
                for reference in (theirs, "EXP-2026-99999", f"{own}%3Fx", "..%2Fpolicies")
            ]
            assert {answer.status_code for answer in answers} == {404}
            assert len({answer.content for answer in answers[:2]}) == 1
        assert theirs not in browser.open(HOME).words


def test_who_oversees_the_workspace_is_told_that_the_list_is_everybodys(stage: Stage) -> None:
    with stage.signed_in(stage.member()) as browser:
        reference = file_export(browser)
        assert "Your requests" in browser.open(HOME).words
    with stage.signed_in(stage.member("admin")) as browser:
        page = browser.open(HOME)
    assert reference in page.words
    assert "Requests of your workspace" in page.words
    assert "Your requests" not in page.words


def test_older_requests_are_a_page_further_on(stage: Stage) -> None:
    person = stage.member()
    with stage.signed_in(person) as browser:
        for _ in range(PAGE_SIZE + 1):
            browser.press(browser.open(f"{HOME}/requests/{file_export(browser)}"), "Cancel")
        newest = browser.open(HOME)
        (older,) = [link for link in newest.links if "after=" in link]
        oldest = browser.open(older)
    shown = [[link for link in page.links if "/requests/" in link] for page in (newest, oldest)]
    assert [len(links) for links in shown] == [PAGE_SIZE, 1]
    filed = {f"{HOME}/requests/{reference}" for reference in stage.filed_by(person)}
    assert {link for links in shown for link in links} == filed
    assert "Older requests" not in oldest.words


def test_while_the_api_is_away_a_page_says_so_and_trying_again_is_the_same_wish(
    stage: Stage,
) -> None:
    person = stage.member()
    key = hashlib.sha256(b"a form").hexdigest()[:32]
    with stage.dashboard(request_api=NOWHERE) as url, stage.browser(url) as browser:
        away = browser.sign_in(person.email, f"quiet-harbour-{person.stable_id}")
        assert away.status == 503
        assert away.answer.headers["retry-after"] == "5"
        assert "The privacy service does not answer at the moment." in away.words
        pressed = browser.client.post(f"{HOME}/export", data={"key": key}, headers=FROM_OUR_PAGE)
    again = Page(pressed).form("Try again")
    assert pressed.status_code == 503
    assert (again.action, again.fields) == (f"{HOME}/export", {"key": key})
    assert stage.filed_by(person) == []


def test_an_archive_that_cannot_be_had_is_a_page_and_no_broken_file(stage: Stage) -> None:
    def away(_operation: str) -> None:
        raise StoreUnavailable("AWAY")

    with stage.signed_in(stage.member()) as browser:
        reference = file_export(browser)
        stage.seal(reference, b"PK")
        page = once_ready(browser, reference)
        sound, stage.store.fault = stage.store.fault, away
        try:
            refused = browser.press(page, "Download")
        finally:
            stage.store.fault = sound
        assert refused.status == 503
        assert "content-disposition" not in refused.answer.headers
        assert browser.press(refused, "Try again").answer.content == b"PK"


def test_an_archive_that_breaks_off_is_not_taken_for_a_whole_one(stage: Stage) -> None:
    pieces = itertools.count()

    def breaks_off(operation: str) -> None:
        if operation == "read.piece" and next(pieces) == 3:
            raise StoreUnavailable("AWAY")

    with stage.signed_in(stage.member()) as browser:
        reference = file_export(browser)
        stage.seal(reference, os.urandom(1_000_000))
        page = once_ready(browser, reference)
        sound, stage.store.fault = stage.store.fault, breaks_off
        try:
            with pytest.raises(httpx2.RemoteProtocolError):
                browser.press(page, "Download")
        finally:
            stage.store.fault = sound
        assert browser.open(HOME).status == 200


def test_the_first_page_leads_to_the_privacy_page(stage: Stage) -> None:
    with stage.browser() as browser:
        assert browser.client.get("/").headers["location"] == HOME
