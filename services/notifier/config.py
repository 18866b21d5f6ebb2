"""What a notifier must be told."""

from dataclasses import dataclass

from plumbing.config import Secret, settings


@settings("NOTIFIER")
@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierConfig:
    """`pages_url` is where people's own privacy pages are; letters link there, never to a file."""

    kafka: str
    log_id: str
    partitions: int
    keyring_url: str
    keyring_token: Secret
    smtp_host: str
    smtp_port: int
    pages_url: str
    sender: str = "privacy@habeas.example"
    smtp_encryption: str = "starttls"
    principal: str = "notifier"
    instance: str = "notifier-1"
