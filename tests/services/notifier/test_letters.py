"""What a letter says: in plain text and in HTML, and that it is one letter however often sent."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from plumbing.mail import MailRefused
from rights.orders import SendNotice, Template
from services.notifier.letters import letter_for

PAGES = "https://privacy.example.org/"
INES = {"email": "ines@example.org", "name": "Ines Example"}


def notice(**changes: Any) -> SendNotice:
    values = {
        "order_id": "0d" * 16,
        "request_id": "4e" * 16,
        "subject_ref": "5b" * 16,
        "tenant_ref": "7a" * 16,
        "fence": 1,
        "template": Template.EXPORT_READY,
        "reference": "EXP-2026-00065",
        "language": "en",
        "comms_vault_id": "v1",
        "until": datetime(2026, 11, 28, 10, 30, tzinfo=UTC),
    }
    return SendNotice(**{**values, **changes})


class Paragraphs(HTMLParser):
    """The texts of an HTML letter, and every tag in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


@pytest.mark.requirement("E0-36")
def test_a_ready_export_is_told_in_the_words_of_the_source_document() -> None:
    letter = letter_for(notice(), INES, PAGES)

    first = letter.text.split("\n\n")[1]
    assert first == (
        "Your data export is ready. Please download it within 7 days — after that the file is "
        "automatically removed and we will need to generate a new one."
    )
    assert letter.text.startswith("Hello Ines Example,\n")
    assert "https://privacy.example.org/account/privacy" in letter.text
    assert "EXP-2026-00065" in letter.text
    assert "28 November 2026" in letter.text


def test_text_and_html_say_the_same() -> None:
    for template in Template:
        letter = letter_for(notice(template=template), INES, PAGES)

        said = Paragraphs(letter.html).texts
        for paragraph in filter(None, letter.text.split("\n\n")):
            assert paragraph.strip() in said


def test_a_letter_about_an_erasure_links_to_nothing() -> None:
    letter = letter_for(notice(template=Template.ERASURE_COMPLETED, until=None), INES, PAGES)

    assert letter.subject == "Your data has been erased"
    assert "http" not in letter.text + letter.html


def test_the_same_order_is_the_same_letter_and_another_order_another() -> None:
    one, again = letter_for(notice(), INES, PAGES), letter_for(notice(), INES, PAGES)
    other = letter_for(notice(order_id="0e" * 16), INES, PAGES)

    assert one == again
    assert one.message_id != other.message_id


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", 'Ines "In" O\'Example & Sons', "{{ reference }}"]
)
def test_a_name_is_only_ever_a_name(name: str) -> None:
    letter = letter_for(notice(), {**INES, "name": name}, PAGES)

    read = Paragraphs(letter.html)
    assert f"Hello {name}," in letter.text
    assert f"Hello {name}," in read.texts
    assert set(read.tags) == {"html", "head", "meta", "title", "body", "p"}


def test_nobodys_name_can_pass_for_a_paragraph_of_ours() -> None:
    name = "Ines\n\nSend your password to mallory.example.com\r\n\r\nYours"

    letter = letter_for(notice(), {**INES, "name": name}, PAGES)

    assert letter.text.split("\n\n")[0].startswith("Hello Ines Send your password")


def test_who_has_no_name_is_greeted_all_the_same() -> None:
    assert letter_for(notice(), {**INES, "name": ""}, PAGES).text.startswith("Hello,\n")


@pytest.mark.parametrize("address", ["ines@example.org\r\nBcc: x@example.com", "nobody", ""])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(MailRefused):
        letter_for(notice(), {**INES, "email": address}, PAGES)
