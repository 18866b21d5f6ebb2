"""What a letter says: plain text and HTML side by side, made by templates with autoescape on."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from jinja2 import BaseLoader, Environment, StrictUndefined

from plumbing.mail import Letter
from rights.orders import SendNotice, Template

_SUBJECT: Final = {
    Template.EXPORT_READY: "Your data export is ready",
    Template.ERASURE_COMPLETED: "Your data has been erased",
}
# E0-36 is the first sentence of the body, word for word.
_TEXT: Final = {
    Template.EXPORT_READY: """\
{{ greeting }}

Your data export is ready. Please download it within 7 days — after that the file is automatically \
removed and we will need to generate a new one.

Open your privacy page and sign in to download it: {{ link }}
Your reference is {{ reference }}. The file is removed on {{ until }}.

We never send the file itself by e-mail, and we never ask for your password in a letter.
""",
    Template.ERASURE_COMPLETED: """\
{{ greeting }}

The erasure you were told about under reference {{ reference }} is done. What the law obliges us to \
keep is kept for that purpose only; everything else about you was deleted or made anonymous.

This is the last letter we can send you: your address is erased with it.
""",
}
_HTML: Final = """\
<!doctype html><html lang="{{ language }}"><head><meta charset="utf-8"><title>{{ subject }}</title>\
</head><body>{% for paragraph in paragraphs %}<p>{{ paragraph }}</p>{% endfor %}</body></html>
"""
# Two environments: in plain text an escaped apostrophe would be a mistake, in HTML a bare one.
_PLAIN: Final = Environment(loader=BaseLoader(), undefined=StrictUndefined, autoescape=False)  # noqa: S701 - plain text
_MARKUP: Final = Environment(loader=BaseLoader(), undefined=StrictUndefined, autoescape=True)


def letter_for(order: SendNotice, comms: Mapping[str, Any], pages_url: str) -> Letter:
    """The letter an order asks for.

    Its message id is made from the order, so that sending it twice is one letter.

    Raises:
        MailRefused: the address cannot be written to.
    """
    subject = _SUBJECT[order.template]
    text = _PLAIN.from_string(_TEXT[order.template]).render(
        greeting=_greeting(comms.get("name") or ""),
        reference=order.reference,
        link=f"{pages_url.rstrip('/')}/account/privacy",
        until=_day(order.until),
    )
    paragraphs = [part.strip() for part in text.split("\n\n")]
    html = _MARKUP.from_string(_HTML).render(language="en", subject=subject, paragraphs=paragraphs)
    return Letter(
        message_id=f"{order.order_id}@habeas.example",
        to=comms["email"],
        subject=subject,
        text=text,
        html=html,
    )


def _greeting(name: str) -> str:
    # On one line, so that nobody's name can pass for a paragraph of ours.
    return f"Hello {' '.join(name.split())},".replace(" ,", ",")


def _day(at: datetime | None) -> str:
    return f"{at.day} {at:%B %Y}" if at else ""
