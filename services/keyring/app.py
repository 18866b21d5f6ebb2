"""The keyring's HTTP face: a small table of operations, and refusals with a code.

Who may call what stands in `plumbing.vault.permits`; what an order may open, in `entitlements`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import pyrage
from pydantic import BaseModel
from starlette.applications import Starlette

from logbook.following import Following
from plumbing import telemetry
from plumbing.postgres import DatabaseUnavailable
from plumbing.vault import MAY_CALL, Identity, Permit, VaultRefused, VaultUnavailable
from plumbing.vault.permits import check_fields, check_permit, check_storing, one_of
from plumbing.web import Answer, Auth, Call, Op, Problem, Wire, application
from proofs.failures import Tampered
from services.keyring import wire
from services.keyring.keeper import Keeper
from services.keyring.standing import Standing
from services.keyring.store.usage import Tally
from services.keyring.tokens import ServiceTokens

_T = TypeVar("_T")
_BODY_BYTES_MAX: Final = 1024 * 1024
_LOG_PATIENCE_S: Final = 2.0
_STATUS: Final = {
    "ORDER_NOT_PENDING": 409,
    "NOT_ALLOWED": 403,
    "KEY_DESTROYED": 410,
    "NOT_FOUND": 404,
    "RATE_LIMITED": 429,
    "PUT_MISMATCH": 409,
    "AMBIGUOUS": 409,
    "UNREADABLE": 422,
    "VALIDATION_FAILED": 422,
}
_PROBLEM_CODES: Final = tuple((status, code) for code, status in _STATUS.items())
log = telemetry.get("keyring")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the face speaks for."""

    keeper: Keeper
    following: Following
    standing: Standing
    identity: pyrage.x25519.Identity
    tally: Tally
    tokens: ServiceTokens
    ping: Callable[[], None]


def face(parts: Parts) -> Starlette:
    return application(_operations(_Handlers(parts)), parts.tokens, body_bytes_max=_BODY_BYTES_MAX)


class _Handlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def put(self, call: Call) -> Answer:
        body = call.body_as(wire.PutBody)
        fields = wire.vault_fields(body.fields)

        def work() -> wire.PutAnswer:
            check_fields("put", fields, body.put_id)
            identity = Identity(body.tenant, body.stable_id, body.email)
            done = self._parts.keeper.put(identity, fields, body.put_id)
            return wire.PutAnswer(subject_ref=done.subject_ref, vault_ids=dict(done.vault_ids))

        return Answer(body=self._counted(call, "put", work))

    def put_for(self, call: Call) -> Answer:
        body = call.body_as(wire.PutForBody)
        fields = wire.vault_fields(body.fields)
        service = call.known_caller.subject

        def work() -> wire.PutForAnswer:
            check_fields("put_for", fields, body.put_id)
            permit = self._locked(lambda: self._parts.standing.permit_for_order(body.order_id))
            check_storing(permit, service, body.subject_ref, body.request_id)
            ids = self._parts.keeper.put_for(body.subject_ref, body.request_id, fields, body.put_id)
            return wire.PutForAnswer(vault_ids=ids)

        return Answer(body=self._counted(call, "put_for", work))

    def find(self, call: Call) -> Answer:
        body = call.body_as(wire.FindBody)

        def work() -> wire.FindAnswer:
            ref = self._parts.keeper.find(body.tenant, body.stable_id, body.email)
            return wire.FindAnswer(subject_ref=ref)

        return Answer(body=self._counted(call, "find", work))

    def unseal(self, call: Call) -> Answer:
        sealed = call.body_as(wire.UnsealBody).sealed

        def work() -> wire.UnsealAnswer:
            try:
                value = json.loads(pyrage.decrypt(sealed, [self._parts.identity]))
                # What cannot be written down again cannot be answered with either.
                json.dumps(value, ensure_ascii=False).encode()
            except (pyrage.DecryptError, ValueError, RecursionError):
                raise VaultRefused("UNREADABLE") from None
            if not isinstance(value, dict):
                raise VaultRefused("UNREADABLE")
            return wire.UnsealAnswer(value=value)

        return Answer(body=self._counted(call, "unseal", work))

    def open(self, call: Call) -> Answer:
        body = call.body_as(wire.OpenBody)
        service = call.known_caller.subject

        def work() -> wire.OpenAnswer:
            one_of(body.order_id, body.grant_id)
            following = self._parts.following
            if not following.wait_for(body.partition, body.seq, _LOG_PATIENCE_S):
                raise VaultUnavailable("LOG_BEHIND")
            permit = check_permit(self._locked(lambda: self._permit(body)), service)
            return wire.open_answer(self._parts.keeper.open(permit))

        return Answer(body=self._counted(call, "open", work))

    def public_key(self, _call: Call) -> Answer:
        return Answer(body=wire.PublicKeyAnswer(public_key=str(self._parts.identity.to_public())))

    def livez(self, _call: Call) -> Answer:
        return Answer()

    def readyz(self, _call: Call) -> Answer:
        self._parts.following.check()
        try:
            self._parts.ping()
        except DatabaseUnavailable:
            raise _unavailable("UNAVAILABLE") from None
        return Answer()

    def _permit(self, body: wire.OpenBody) -> Permit | None:
        standing = self._parts.standing
        if body.grant_id:
            return standing.permit_for_grant(body.grant_id)
        return standing.permit_for_order(body.order_id or "")

    def _locked(self, ask: Callable[[], _T]) -> _T:
        with self._parts.following.lock:
            return ask()

    def _counted(self, call: Call, operation: str, work: Callable[[], _T]) -> _T:
        """Do the work; count how it ended, and turn its failures into what callers understand."""
        service = call.known_caller.subject
        outcome = "OK"
        try:
            return work()
        except VaultRefused as refusal:
            outcome = refusal.code
            log.info("refused", peer=service, step=operation, code=refusal.code)
            raise _refused(refusal.code) from None
        except VaultUnavailable as failure:
            outcome = failure.code
            raise _unavailable(failure.code) from None
        except DatabaseUnavailable as error:
            outcome = "UNAVAILABLE"
            log.warning("database_unavailable", error=error)
            raise _unavailable("UNAVAILABLE") from None
        except Tampered as error:
            # A row or key that is not what we wrote: nobody gets any of it, and a person looks.
            outcome = "DAMAGED"
            log.error("row_damaged", peer=service, step=operation, error=error)
            raise Problem(500, "DAMAGED", "What is stored here was altered.") from None
        finally:
            self._parts.tally.count(service, operation, outcome)


def _refused(code: str) -> Problem:
    return Problem(_STATUS[code], code, "The keyring refuses this.")


def _unavailable(code: str) -> Problem:
    return Problem(
        503,
        code,
        "The keyring cannot answer now.",
        next_step="Repeat the same call in a moment.",
        headers={"Retry-After": "1"},
    )


def _operations(handlers: _Handlers) -> tuple[Op, ...]:
    return (
        _op("/put", handlers.put, "Keep fields about a person.", wire.PutBody, wire.PutAnswer),
        _op(
            "/put_for",
            handlers.put_for,
            "Keep fields about a request, for its pending order.",
            wire.PutForBody,
            wire.PutForAnswer,
        ),
        _op(
            "/find",
            handlers.find,
            "Look a person up; never mints.",
            wire.FindBody,
            wire.FindAnswer,
        ),
        _op(
            "/unseal",
            handlers.unseal,
            "Open what a product service sealed.",
            wire.UnsealBody,
            wire.UnsealAnswer,
        ),
        _op(
            "/open",
            handlers.open,
            "Open what a pending order, or a grant in force, is entitled to.",
            wire.OpenBody,
            wire.OpenAnswer,
        ),
        Op(
            method="GET",
            path="/public-key",
            handler=handlers.public_key,
            summary="The age recipient that product services seal to.",
            # It is public by nature.
            auth=None,
            response=wire.PublicKeyAnswer,
        ),
        Op(method="GET", path="/livez", handler=handlers.livez, summary="Runs.", auth=None),
        Op(method="GET", path="/readyz", handler=handlers.readyz, summary="Can answer.", auth=None),
    )


def _op(
    path: str,
    handler: Callable[[Call], Answer],
    summary: str,
    request: type[Wire],
    response: type[BaseModel],
) -> Op:
    return Op(
        method="POST",
        path=path,
        handler=handler,
        summary=summary,
        auth=Auth(roles=MAY_CALL[path.removeprefix("/")]),
        request=request,
        response=response,
        errors=(*_PROBLEM_CODES, (503, "LOG_BEHIND"), (503, "BEING_FORGOTTEN")),
    )
