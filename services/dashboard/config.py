"""What a dashboard must be told."""

import ipaddress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from plumbing.config import Secret, settings

SESSION_KEY_MIN: Final = 32


@settings("DASHBOARD")
@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardConfig:
    """`pages_url` is where browsers find the pages, if that is not where they are served.

    `session_key` hides session ids from whoever reads this process's memory as it was; a new one
    signs everybody out.
    """

    request_api: str
    issuer: str
    session_key: Secret
    pages_url: str = ""
    host: str = "127.0.0.1"
    port: int = 8081

    def __post_init__(self) -> None:
        if len(self.session_key.reveal()) < SESSION_KEY_MIN:
            raise ValueError(f"a session key has at least {SESSION_KEY_MIN} characters")
        if not self.is_secure and not _is_loopback(self.own_url):
            raise ValueError("pages are served by https, or to this machine only")

    @property
    def own_url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.pages_url or f"http://{host}:{self.port}"

    @property
    def origin(self) -> str:
        """As browsers write it."""
        parts = urlsplit(self.own_url)
        return f"{parts.scheme}://{parts.netloc}".lower()

    @property
    def is_secure(self) -> bool:
        return urlsplit(self.own_url).scheme == "https"


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
