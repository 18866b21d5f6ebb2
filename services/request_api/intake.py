"""What product services file by topic, so that none of them must learn HTTP or our rules.

Rule 1: a service files for the tenants that name it, and for no other.
Rule 2: the message's place is committed only after its outcome is on the service's own topic; a
repeat makes the same command, and so the same outcome.
Rule 3: what does not answer now is waited for, however long: a message is refused only for what it
says. Those behind it wait too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from logbook.attesting import sole_administrator
from logbook.reporting import PATIENCE_S, Reporter
from plumbing import telemetry
from plumbing.clock import Clock
from plumbing.directory import Directory, DirectoryUnavailable, Person
from plumbing.failpoints import fp
from plumbing.kafka import BrokerError, Fenced, Group, Outgoing, PositionLost, Producer, Record
from plumbing.postgres import DatabaseUnavailable
from plumbing.process import Stop
from plumbing.tenants import Tenant
from plumbing.vault import VaultRefused, VaultUnavailable
from plumbing.web import Problem
from rights.commands import Actor, Attested, SubmitErasure, SubmitExport
from rights.policies import Role
from rights.references import derived_id
from schemas import topics
from schemas.codec import UndecodableError, decode_as, encode
from schemas.wire import IntakeOutcome, IntakeRequest
from services.request_api.filing import Filing, Wish
from services.request_api.models import ServiceWords

POLL_S: Final = 0.2
AGAIN_AFTER_S: Final = 2.0
# A keyring that refuses us is misconfigured; that is no reason to refuse a person.
_NOT_NOW: Final = (VaultUnavailable, VaultRefused, DirectoryUnavailable, DatabaseUnavailable)
_COMING_BACK: Final = 503
_RIGHTS: Final = {"export": SubmitExport, "erasure": SubmitErasure}
log = telemetry.get("request_api.intake")


class NotNowError(Exception):
    """Something we need does not answer; the message waits where it is."""


class RefusedError(Exception):
    """The filing is refused, for good."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    group: Group
    producer: Producer
    reporter: Reporter
    filing: Filing
    directory: Directory
    tenants: Mapping[str, Tenant]
    clock: Clock
    again_after_s: float = AGAIN_AFTER_S

    @property
    def services(self) -> dict[str, str]:
        """The intake topics, and the product service that each one is of."""
        named = {s for tenant in self.tenants.values() for s in tenant.product_services}
        return {topics.intake(service): service for service in sorted(named)}

    def run(self, stop: Stop) -> None:
        services = self.services
        if not services:
            stop.wait()
            return
        self.group.subscribe(list(services))
        try:
            while not stop.is_set():
                self._turn(services, stop)
        finally:
            self.group.close()

    def _turn(self, services: Mapping[str, str], stop: Stop) -> None:
        try:
            records = self.group.poll(1, POLL_S)
        except (Fenced, PositionLost):
            raise
        except BrokerError as failure:
            # The group went on without us, if we waited for too long; the next poll joins again.
            log.warning("intake_left_behind", error=failure)
            stop.wait(self.again_after_s)
            return
        for record in records:
            self._take(record, services[record.topic], stop)

    def _take(self, record: Record, service: str, stop: Stop) -> None:
        """Answer one message, however often that must be tried, then go past it."""
        fp("intake.read")
        while not stop.is_set():
            try:
                self._answer(record, service)
            except (NotNowError, BrokerError) as failure:
                log.warning("intake_waits", topic=record.topic, offset=record.offset, error=failure)
                stop.wait(self.again_after_s)
                continue
            fp("intake.answered")
            self._commit(record)
            return

    def _commit(self, record: Record) -> None:
        try:
            self.group.commit({(record.topic, record.partition): record.offset + 1})
        except Fenced:
            raise
        except BrokerError as failure:
            # Whoever has the partition now gets the message again, and the same outcome.
            log.warning("intake_left_behind", error=failure)

    def _answer(self, record: Record, service: str) -> None:
        try:
            request = decode_as(IntakeRequest, record.value or b"")
        except UndecodableError as failure:
            letter = self.reporter.dead_letter(record, failure.code)
            self.producer.send_and_wait([letter], PATIENCE_S)
            log.error("intake_unreadable", topic=record.topic, offset=record.offset)
            return
        outcome, code, reference = "ACCEPTED", "", ""
        try:
            reference = self._file(request, service)
        except RefusedError as refused:
            outcome, code = "REJECTED", refused.code
        fp("intake.filed")
        answer = IntakeOutcome(
            message_id=request.message_id,
            outcome=outcome,
            code=code,
            reference=reference,
            at=self.clock.now(),
        )
        out = Outgoing(topic=topics.outcomes(service), key=record.key, value=encode(answer))
        self.producer.send_and_wait([out], PATIENCE_S)
        log.info("intake_answered", outcome=outcome, code=code, reference=reference)

    def _file(self, request: IntakeRequest, service: str) -> str:
        """The reference of what was filed, now or when the message came before."""
        tenant = self.tenants.get(request.tenant)
        if tenant is None or service not in tenant.product_services:
            raise RefusedError("TENANT_UNKNOWN")
        if request.right not in _RIGHTS:
            raise RefusedError("RIGHT_UNKNOWN")
        if not request.message_id:
            # Without one of its own it would be the same request as the next such message.
            raise RefusedError("MESSAGE_ID_MISSING")
        try:
            return self._wish(request, service, self._opened(request.sealed))
        except _NOT_NOW as failure:
            raise NotNowError from failure
        except Problem as problem:
            if problem.status == _COMING_BACK:
                raise NotNowError from problem
            raise RefusedError(problem.code) from problem

    def _opened(self, sealed: bytes) -> ServiceWords:
        try:
            return ServiceWords.model_validate(self.filing.vault.unseal(sealed))
        except VaultRefused as refused:
            # VALIDATION_FAILED: too large to be anybody's handles.
            if refused.code not in {"UNREADABLE", "VALIDATION_FAILED"}:
                raise
        except ValidationError:
            pass
        # Neither cause is kept: it might quote what was sealed.
        raise RefusedError("HANDLES_UNREADABLE")

    def _wish(self, request: IntakeRequest, service: str, words: ServiceWords) -> str:
        wish = Wish(
            tenant=request.tenant,
            asker=f"service:{service}",
            idempotency_key=request.message_id,
            body={"right": request.right, "person": words.stable_id},
            valid_for=None,
        )
        if earlier := self.filing.earlier(wish):
            return earlier.reference
        person = self.directory.find(request.tenant, stable_id=words.stable_id)
        if person is None:
            raise RefusedError("PERSON_NOT_FOUND")
        kept = self.filing.keep(wish, person, {"reason": words.reason} if words.reason else {})
        command = _RIGHTS[request.right](
            handles_vault_id=kept.vault_ids["handles"],
            comms_vault_id=kept.vault_ids["comms"],
            reason_vault_id=kept.vault_ids.get("reason"),
        )
        actor = Actor(role=Role.SERVICE, ref=derived_id("service", service))
        attested = self._attested(request, person)
        return self.filing.file(wish, command, actor, kept.subject_ref, attested).reference

    def _attested(self, request: IntakeRequest, person: Person) -> Attested:
        if request.right != "erasure":
            return ()
        now = self.clock.now()
        return (sole_administrator(self.directory, request.tenant, person, now=now),)
