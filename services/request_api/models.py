"""Bodies of requests and answers; who derives from `Wire` refuses fields it does not know."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from plumbing.web import Wire

REASON_MAX: Final = 2000
# No system has control characters in its ids and addresses, and some fail at them.
StableId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Email = Annotated[str, Field(min_length=3, max_length=320, pattern=r"^[^\x00-\x1f\x7f]+$")]


class PersonNamed(Wire):
    """Whom a request is about, where it is not oneself; exactly one of the two."""

    stable_id: StableId | None = None
    email: Email | None = None


class FileRequest(Wire):
    type: Literal["export", "erasure"]
    subject: PersonNamed | None = None
    reason: str | None = Field(default=None, min_length=1, max_length=REASON_MAX)
    language: str = Field(default="en", pattern=r"^[a-z]{2}(-[A-Z]{2})?$")


class SkipGrace(Wire):
    """Skipping the grace period needs one of three documented grounds (E3-12)."""

    ground: Literal["COURT_ORDER", "ACCOUNT_COMPROMISE", "WRITTEN_WAIVER"]
    evidence: str | None = Field(default=None, min_length=1, max_length=REASON_MAX)


class ConfirmErasure(Wire):
    typed_email: Email
    reason: str = Field(min_length=1, max_length=REASON_MAX)
    plan_hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    skip_grace: SkipGrace | None = None


class PublishPolicy(Wire):
    """A shipped profile, and the values in which the tenant's own policy differs from it."""

    profile: Literal["workspace-admin", "member-portal", "org-jobs", "self-serve-api"]
    sources: list[str] | None = Field(default=None, max_length=100)
    grace_days: int | None = Field(default=None, ge=0, le=365)
    artifact_ttl_seconds: int | None = Field(default=None, ge=1, le=90 * 86400)
    wait_max_seconds: int | None = Field(default=None, ge=1, le=30 * 86400)
    package_format: Literal["ZIP", "JSON_BUNDLE"] | None = None
    notify_ready_required: bool | None = None


class ServiceWords(Wire):
    """What a product service sealed about the person it files for."""

    stable_id: StableId
    reason: str = Field(default="", max_length=REASON_MAX)


class Listing(Wire):
    """Which requests to list."""

    after: str | None = Field(default=None, max_length=200)
    limit: int = Field(default=50, ge=1, le=200)


class RequestBody(BaseModel):
    reference: str
    type: str
    state: str
    phase: str
    outcome: str | None = None
    percent: int
    waiting_for: str | None = None
    failure: str | None = None
    failed_source: str | None = None
    filed_by: str
    requested_at: datetime
    due_at: datetime
    expires_at: datetime | None = None
    is_removed: bool = False
    grace_ends_at: datetime | None = None
    grace_skipped: bool | None = None
    version: int


class RequestAnswer(BaseModel):
    data: RequestBody


class FiledBody(BaseModel):
    reference: str
    state: str
    position: str


class FiledAnswer(BaseModel):
    data: FiledBody


class PageBody(BaseModel):
    next: str | None
    limit: int


class ListAnswer(BaseModel):
    data: list[RequestBody]
    page: PageBody


class EventBody(BaseModel):
    at: datetime
    event: str
    actor_role: str | None
    details: dict[str, Any]


class TimelineAnswer(BaseModel):
    data: list[EventBody]


class SectionBody(BaseModel):
    source: str
    section: str
    state: str
    items: list[dict[str, str]]
    deleted_bucket: int | None = None
    anonymised_bucket: int | None = None
    retained_bucket: int | None = None
    left_bucket: int | None = None


class PlanBody(BaseModel):
    plan_hash: str | None
    sections: list[SectionBody]


class PlanAnswer(BaseModel):
    data: PlanBody


class DownloadBody(BaseModel):
    url: str
    until: datetime


class DownloadAnswer(BaseModel):
    data: DownloadBody


class Health(BaseModel):
    status: str
