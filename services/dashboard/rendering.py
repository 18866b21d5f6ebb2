"""Templates in, responses out. Everything that is put into a template is escaped there."""

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from services.dashboard import words
from services.dashboard.api import Asked

TEMPLATES: Final = Path(__file__).parent / "templates"
_KEY_BYTES: Final = 16


class Views:
    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["moment"] = moment
        self._environment.filters["day"] = day
        self._environment.globals.update(
            new_key=new_key,
            types=words.TYPES,
            event_words=words.event_words,
        )

    def page(
        self, request: Request, template: str, *, status: int = 200, **context: Any
    ) -> HTMLResponse:
        """A page; who is signed in stands on each."""
        session = getattr(request.state, "session", None)
        text = self._environment.get_template(template).render(session=session, **context)
        return HTMLResponse(text, status_code=status)


def new_key() -> str:
    """An Idempotency-Key for one form: pressing its button twice asks for the same thing."""
    return secrets.token_hex(_KEY_BYTES)


def moment(at: datetime) -> Markup:
    utc = at.astimezone(UTC)
    return _time(utc, f"{utc.day} {utc:%B %Y, %H:%M} UTC")


def day(at: datetime) -> Markup:
    utc = at.astimezone(UTC)
    return _time(utc, f"{utc.day} {utc:%B %Y}")


def _time(utc: datetime, text: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(f"{utc:%Y-%m-%dT%H:%M:%SZ}", text)


class Row:
    """A request as a page shows it."""

    def __init__(self, asked: Asked, now: datetime) -> None:
        self.asked = asked
        self.standing = words.standing(asked, now)
        self.progress = words.progress(asked, now)
        self.is_ready = words.is_ready(asked, now)
        self.is_running = words.is_running(asked)
        self.is_cancellable = words.is_cancellable(asked)
        self.filed = words.by_whom(asked.filed_by)
