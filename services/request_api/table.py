"""The operation table: every route with its authority, its bodies and its refusals."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from starlette.responses import JSONResponse

from plumbing.web import Answer, Auth, Call, HeaderField, Op, document
from services.request_api import models as md
from services.request_api.downloads import Downloads
from services.request_api.handlers import Handlers
from services.request_api.progress import Progress

BASE: Final = "/api/v1/privacy"
ANYONE: Final = Auth()
DECIDERS: Final = Auth(roles=frozenset({"admin", "privacy_officer", "system_admin"}))
OPERATORS: Final = Auth(roles=frozenset({"system_admin"}))
IDEMPOTENT: Final = HeaderField(
    name="Idempotency-Key",
    description="The same key with the same body gets the first answer again.",
    required=True,
)
POSITION: Final = HeaderField(
    name="Habeas-Position",
    description="Answer at or after this position of the log, as a command's answer gave it.",
)
_FILING: Final = (
    (403, "FORBIDDEN"),
    (409, "CONFLICT_GDPR_EXPORT"),
    (409, "CONFLICT_ERASURE"),
    (409, "GUARD_FAILED"),
    (422, "REASON_REQUIRED"),
    (422, "IDEMPOTENCY_MISMATCH"),
    (503, "OUTCOME_UNKNOWN"),
)
_ACTING: Final = (
    (403, "FORBIDDEN"),
    (404, "NOT_FOUND"),
    (409, "VERSION_CONFLICT"),
    (422, "IDEMPOTENCY_MISMATCH"),
    (503, "OUTCOME_UNKNOWN"),
)
_READING: Final = ((404, "NOT_FOUND"), (503, "UNAVAILABLE"))


def operations(handlers: Handlers, downloads: Downloads, progress: Progress) -> tuple[Op, ...]:
    named = (*_requests(handlers, progress), *_actions(handlers), *_others(handlers, downloads))
    return (*named, _own_document(named))


def _requests(handlers: Handlers, progress: Progress) -> tuple[Op, ...]:
    return (
        Op(
            method="POST",
            path=f"{BASE}/requests",
            handler=handlers.file_request,
            summary="File an export or an erasure",
            auth=ANYONE,
            status=202,
            request=md.FileRequest,
            response=md.FiledAnswer,
            headers=(IDEMPOTENT,),
            errors=_FILING,
        ),
        Op(
            method="GET",
            path=f"{BASE}/requests",
            handler=handlers.list_requests,
            summary="List requests, newest first",
            auth=ANYONE,
            query=md.Listing,
            response=md.ListAnswer,
            headers=(POSITION,),
            errors=((503, "UNAVAILABLE"),),
        ),
        Op(
            method="GET",
            path=f"{BASE}/requests/{{reference}}",
            handler=handlers.show_request,
            summary="Show a request",
            auth=ANYONE,
            response=md.RequestAnswer,
            headers=(POSITION,),
            errors=_READING,
        ),
        Op(
            method="GET",
            path=f"{BASE}/requests/{{reference}}/events",
            handler=progress.stream,
            summary="Follow a request's progress",
            auth=ANYONE,
            produces="text/event-stream",
            errors=_READING,
        ),
        Op(
            method="GET",
            path=f"{BASE}/requests/{{reference}}/timeline",
            handler=handlers.show_timeline,
            summary="Show what happened to a request",
            auth=ANYONE,
            response=md.TimelineAnswer,
            headers=(POSITION,),
            errors=_READING,
        ),
        Op(
            method="GET",
            path=f"{BASE}/requests/{{reference}}/plan",
            handler=handlers.show_plan,
            summary="Show what an erasure will do, or has done",
            auth=ANYONE,
            response=md.PlanAnswer,
            headers=(POSITION,),
            errors=_READING,
        ),
    )


def _actions(handlers: Handlers) -> tuple[Op, ...]:
    return (
        Op(
            method="POST",
            path=f"{BASE}/requests/{{reference}}/approve",
            handler=handlers.approve,
            summary="Approve a proposed export",
            auth=DECIDERS,
            status=202,
            response=md.FiledAnswer,
            headers=(IDEMPOTENT,),
            errors=_ACTING,
        ),
        Op(
            method="POST",
            path=f"{BASE}/requests/{{reference}}/confirm-erasure",
            handler=handlers.confirm_erasure,
            summary="Confirm an erasure",
            auth=DECIDERS,
            status=202,
            request=md.ConfirmErasure,
            response=md.FiledAnswer,
            headers=(IDEMPOTENT,),
            errors=(
                *_ACTING,
                (409, "GUARD_FAILED"),
                (409, "PLAN_NOT_READY"),
                (409, "PLAN_STALE"),
                (422, "EMAIL_MISMATCH"),
                (422, "GROUND_REQUIRED"),
            ),
        ),
        Op(
            method="POST",
            path=f"{BASE}/requests/{{reference}}/cancel",
            handler=handlers.cancel,
            summary="Cancel a request",
            auth=ANYONE,
            status=202,
            response=md.FiledAnswer,
            headers=(IDEMPOTENT,),
            errors=(*_ACTING, (409, "TOO_LATE")),
        ),
        Op(
            method="POST",
            path=f"{BASE}/requests/{{reference}}/downloads",
            handler=handlers.grant_download,
            summary="Make a link to a finished archive",
            auth=ANYONE,
            status=201,
            response=md.DownloadAnswer,
            errors=(
                (403, "FORBIDDEN"),
                (404, "NOT_FOUND"),
                (409, "NOT_READY"),
                (410, "GONE_GDPR_EXPORT"),
                (503, "OUTCOME_UNKNOWN"),
            ),
        ),
    )


def _others(handlers: Handlers, downloads: Downloads) -> tuple[Op, ...]:
    return (
        Op(
            method="GET",
            path=f"{BASE}/downloads/{{token}}",
            handler=downloads.fetch,
            summary="Download an archive",
            auth=None,
            produces="application/octet-stream",
            errors=((404, "NOT_FOUND"), (410, "GONE_GDPR_EXPORT"), (503, "UNAVAILABLE")),
        ),
        Op(
            method="POST",
            path=f"{BASE}/policies",
            handler=handlers.publish_policy,
            summary="Publish the workspace's policy",
            auth=DECIDERS,
            status=202,
            request=md.PublishPolicy,
            response=md.FiledAnswer,
            headers=(IDEMPOTENT,),
            errors=((403, "FORBIDDEN"), (422, "SOURCE_UNKNOWN"), (503, "OUTCOME_UNKNOWN")),
        ),
        Op(
            method="POST",
            path=f"{BASE}/clock/confirm",
            handler=handlers.confirm_clock,
            summary="Confirm the clock, so that destructive timers go on",
            auth=OPERATORS,
            status=202,
            response=md.FiledAnswer,
            headers=(IDEMPOTENT,),
            errors=((403, "FORBIDDEN"), (503, "OUTCOME_UNKNOWN")),
        ),
        Op(
            method="GET",
            path="/livez",
            handler=livez,
            summary="Say that the process is alive",
            auth=None,
            response=md.Health,
        ),
    )


def _own_document(others: Sequence[Op]) -> Op:
    """The document of all operations, itself included, under the address where tools look."""

    def openapi(_: Call) -> JSONResponse:
        return JSONResponse(described)

    own = Op(
        method="GET",
        path="/openapi.json",
        handler=openapi,
        summary="Show this document",
        auth=None,
        produces="application/json",
    )
    described = document([*others, own], title="habeas", version=version("habeas"))
    return own


def livez(_: Call) -> Answer:
    return Answer(body=md.Health(status="ok"))
