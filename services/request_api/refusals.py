"""What a decision's code means to a caller: a status, a sentence, a next step.

Rule 1: what exists but is not the caller's answers exactly as what does not exist.
"""

from typing import Final

from plumbing.web import Problem

_CATALOGUE: Final[dict[str, tuple[int, str, str]]] = {
    "FORBIDDEN": (403, "You may not do this.", "Ask an administrator of your workspace."),
    "REASON_REQUIRED": (
        422,
        "A reason is required when you act for somebody else.",
        "Repeat the request with a `reason` that names no one.",
    ),
    "CONFLICT_GDPR_EXPORT": (
        409,
        (
            "An export request is already pending for this account. "
            "Check your email or try again later."
        ),
        "Look at the open request, or cancel it first.",
    ),
    "CONFLICT_ERASURE": (
        409,
        "An erasure is already open for this account.",
        "Look at the open erasure, or cancel it while its grace period runs.",
    ),
    "GUARD_FAILED": (
        409,
        "Somebody's absence would break the workspace: a guard stands in the way.",
        "If this is the only administrator, appoint another one first; then try again.",
    ),
    "EMAIL_MISMATCH": (
        422,
        "The typed e-mail address is not this person's.",
        "Type the address exactly as it stands at the top of the request.",
    ),
    "PLAN_NOT_READY": (
        409,
        "The plan of this erasure is not complete yet.",
        "Wait until every source has answered, look at the plan, then confirm it.",
    ),
    "PLAN_STALE": (
        409,
        "The plan has changed since you looked at it. Nothing was done.",
        "Look at the plan again, then confirm it.",
    ),
    "GROUND_REQUIRED": (
        422,
        "The grace period is skipped on a documented ground only.",
        "Name a court order, a confirmed account compromise or a written waiver.",
    ),
    "VERSION_CONFLICT": (
        409,
        "Somebody changed this request in the meantime. Nothing was done.",
        "Read the request again and decide anew.",
    ),
    "TOO_LATE": (
        409,
        "This request can no longer be cancelled.",
        "Look at its timeline to see what was done.",
    ),
    "NOT_READY": (409, "The archive is not ready.", "Wait until the request is completed."),
    "GONE_GDPR_EXPORT": (
        410,
        "This download link has expired. Request a new export from your account settings.",
        "Request a new export.",
    ),
    "POLICY_MISSING": (
        409,
        "This workspace has no privacy policy in force yet.",
        "An administrator has to publish one first.",
    ),
    "NO_SOURCES": (
        409,
        "No source of data is registered for this workspace.",
        "An administrator has to publish a policy that names sources.",
    ),
    "SUBJECT_ON_HOLD": (
        409,
        "Requests of this account wait for somebody to look at a fault.",
        "Contact support; nothing is lost.",
    ),
    # No 503: whoever tries again with the same key would do so for ever.
    "COMMAND_EXPIRED": (
        409,
        "The request reached us too late to be acted on. Nothing was done.",
        "Send it again with a new Idempotency-Key.",
    ),
    "IDEMPOTENCY_MISMATCH": (
        422,
        "This Idempotency-Key was used for another request.",
        "Use a new key for a new request.",
    ),
}


def refusal(code: str) -> Problem:
    """The problem that a refused command is to its caller."""
    if code in {"NOT_FOUND", "SUBJECT_MISSING"}:
        return not_found()
    status, message, next_step = _CATALOGUE.get(
        code, (409, "The request was refused.", "Look at the code and contact support.")
    )
    return Problem(status, code, message, next_step=next_step)


def not_found() -> Problem:
    return Problem(
        404, "NOT_FOUND", "Request not found.", next_step="Check the reference and your account."
    )


def outcome_unknown() -> Problem:
    return Problem(
        503,
        "OUTCOME_UNKNOWN",
        "The outcome is not known yet; trying again with the same Idempotency-Key is safe.",
        next_step="Repeat the same request with the same Idempotency-Key in a few seconds.",
        headers={"Retry-After": "5"},
    )


def unavailable(part: str, *, reads: bool = False) -> Problem:
    """A part that we need does not answer; `reads`: nothing was asked for but to look."""
    happened = "" if reads else " Nothing was filed."
    again = "Try again" if reads else "Try again with the same Idempotency-Key"
    return Problem(
        503,
        "UNAVAILABLE",
        f"The {part} does not answer at the moment.{happened}",
        next_step=f"{again} in a few seconds.",
        headers={"Retry-After": "5"},
    )


def gone() -> Problem:
    return refusal("GONE_GDPR_EXPORT")


def views_behind() -> Problem:
    return Problem(
        503,
        "UNAVAILABLE",
        "The views have not caught up with your request yet.",
        next_step="Ask again in a second.",
        headers={"Retry-After": "1"},
    )
