"""A browser as far as forms go: it keeps cookies and presses the buttons that a page has."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Self

import httpx2

FROM_OUR_PAGE = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}


@dataclass
class Form:
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    label: str = ""


class Page(HTMLParser):
    """An answer, with its forms, links and words."""

    def __init__(self, answer: httpx2.Response) -> None:
        super().__init__()
        self.answer = answer
        self.status = answer.status_code
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._said: list[str] = []
        self._title: list[str] = []
        self._in: list[str] = []
        self.feed(answer.text)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self._said).split())

    @property
    def title(self) -> str:
        return " ".join(" ".join(self._title).split())

    def form(self, label: str) -> Form:
        (found, *_) = [form for form in self.forms if form.label.startswith(label)]
        return found

    def has_button(self, label: str) -> bool:
        return any(form.label.startswith(label) for form in self.forms)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        had = dict(attrs)
        self.tags.append((tag, had))
        self._in.append(tag)
        if tag == "form":
            self.forms.append(Form(had.get("action") or "", had.get("method") or "get"))
        if tag == "input" and self.forms:
            self.forms[-1].fields[had.get("name") or ""] = had.get("value") or ""
        if tag == "a":
            self.links.append(had.get("href") or "")
        if tag in {"input", "meta", "link"}:
            self._in.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._in.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if "title" in self._in:
            self._title.append(data)
            return
        self._said.append(data)
        if "button" in self._in:
            self.forms[-1].label = " ".join(f"{self.forms[-1].label} {data}".split())


class Browser:
    def __init__(self, url: str) -> None:
        self.client = httpx2.Client(base_url=url, timeout=60)

    def open(self, path: str) -> Page:
        return Page(self.client.get(path, follow_redirects=True))

    def press(self, page: Page, label: str, **typed: str) -> Page:
        return Page(self.send(page.form(label), **typed))

    def send(self, form: Form, **typed: str) -> httpx2.Response:
        """Send a form as it is, and go where that leads."""
        assert form.method == "post"
        return self.client.post(
            form.action,
            data={**form.fields, **typed},
            headers=FROM_OUR_PAGE,
            follow_redirects=True,
        )

    def sign_in(self, email: str, password: str, *, at: str = "/account/privacy") -> Page:
        return self.press(self.open(at), "Sign in", email=email, password=password)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_failure: object) -> None:
        self.client.close()
