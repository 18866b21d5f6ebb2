"""What product services file by topic, so that none of them must learn HTTP or our rules.

Rule 1: a service files for the tenants that name it, and for no other.
Rule 2: the message's place is committed only after its outcome is on the service's own topic; a
repeat makes the same command, and so the same outcome.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from logbook.attesting import sole_administrator
from logbook.reporting import PATIENCE_S, Reporter
from plumbing import telemetry
from plumbing.clock import Clock
from plumbing.directory import Directory, DirectoryUnavailable, Person
from plumbing.failpoints import fp
from plumbing.kafka import Group, Outgoing, Producer, Record
from plumbing.process import Stop
from plumbing.tenants import Tenant
from plumbing.vault import VaultRefused, VaultUnavailable
from plumbing.web import Problem
from rights.commands import Actor, SubmitErasure, SubmitExport
from rights.policies import Role
from rights.references import derived_id
from schemas import topics
from schemas.codec import UndecodableError, decode_as, encode
from schemas.wire import IntakeOutcome, IntakeRequest
from services.request_api.filing import Filing, Wish

AGAIN_AFTER_S: Final = 2.0
_COMING_BACK: Final = 503
log = telemetry.get("request_api.intake")


class NotNowError(Exception):
    """Something we need does not answer; the message waits where it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    group: Group
    producer: Producer
    reporter: Reporter
    filing: Filing
    directory: Directory
    tenants: Mapping[str, Tenant]
    clock: Clock

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
                for record in self.group.poll(1, 0.2):
                    self._take(record, services[record.topic], stop)
        finally:
            self.group.close()

    def _take(self, record: Record, service: str, stop: Stop) -> None:
        """Answer one message, however often that must be tried, then go past it."""
        fp("intake.read")
        while not stop.is_set():
            try:
                self._answer(record, service)
            except NotNowError:
                log.warning("intake_waits", topic=record.topic, offset=record.offset)
                stop.wait(AGAIN_AFTER_S)
                continue
            fp("intake.answered")
            self.group.commit({(record.topic, record.partition): record.offset + 1})
            return

    def _answer(self, record: Record, service: str) -> None:
        try:
            request = decode_as(IntakeRequest, record.value or b"")
        except UndecodableError as failure:
            letter = self.reporter.dead_letter(record, failure.code)
            self.producer.send_and_wait([letter], PATIENCE_S)
            log.error("intake_unreadable", topic=record.topic, offset=record.offset)
            return
        outcome, code, reference = self._file(request, service)
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

    def _file(self, request: IntakeRequest, service: str) -> tuple[str, str, str]:
        tenant = self.tenants.get(request.tenant)
        if tenant is None or service not in tenant.product_services:
            return "REJECTED", "TENANT_UNKNOWN", ""
        if request.right not in {"export", "erasure"}:
            return "REJECTED", "RIGHT_UNKNOWN", ""
        try:
            clear = self.filing.vault.unseal(request.sealed)
            person = self.directory.find(request.tenant, stable_id=str(clear["stable_id"]))
            if person is None:
                return "REJECTED", "PERSON_NOT_FOUND", ""
            answer = self._wish(request, service, person, clear)
        except (VaultRefused, KeyError):
            return "REJECTED", "HANDLES_UNREADABLE", ""
        except (VaultUnavailable, DirectoryUnavailable) as failure:
            raise NotNowError from failure
        except Problem as problem:
            if problem.status == _COMING_BACK and problem.code != "COMMAND_EXPIRED":
                raise NotNowError from problem
            return "REJECTED", problem.code, ""
        return "ACCEPTED", "", answer

    def _wish(
        self, request: IntakeRequest, service: str, person: Person, clear: Mapping[str, Any]
    ) -> str:
        wish = Wish(
            tenant=request.tenant,
            asker=f"service:{service}",
            idempotency_key=request.message_id,
            body={"right": request.right, "person": person.stable_id},
        )
        if earlier := self.filing.earlier(wish):
            return earlier.reference
        reason = str(clear.get("reason") or "")
        kept = self.filing.keep(wish, person, {"reason": reason} if reason else {})
        actor = Actor(role=Role.SERVICE, ref=derived_id("service", service))
        make = SubmitExport if request.right == "export" else SubmitErasure
        command = make(
            handles_vault_id=kept.vault_ids["handles"],
            comms_vault_id=kept.vault_ids["comms"],
            reason_vault_id=kept.vault_ids.get("reason"),
        )
        now = self.clock.now()
        guard = sole_administrator(self.directory, request.tenant, person, now=now)
        attested = (guard,) if request.right == "erasure" else ()
        answer = self.filing.file(wish, command, actor, kept.subject_ref, attested)
        return answer.reference
