"""One wish, from the caller to the decision.

Rule 1: the same Idempotency-Key makes the same command, so a retry after any failure is safe.
Rule 2: nothing readable about a person leaves this process but to the vault; the keyring down means
that nothing is filed.
Rule 3: once a command may be on its topic, only the log can say what became of it; until it does,
the outcome is not known, whatever else fails.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import rfc8785

from logbook.following import Following
from plumbing.clock import Clock
from plumbing.directory import Person
from plumbing.failpoints import fp
from plumbing.kafka import BrokerError, Outgoing, Producer
from plumbing.postgres import DatabaseUnavailable
from plumbing.vault import Field, Identity, Put, Vault, VaultRefused
from projections.queries import CommandView, Queries
from rights.commands import Actor, Attested, IntakeCommand
from rights.decisions import Verdict
from rights.references import derived_id, tenant_ref
from schemas.codec import encode
from schemas.topics import COMMANDS_INTAKE
from schemas.wire import CommandMessage
from services.request_api.answers import Answer, AnswerBook, state_after
from services.request_api.refusals import outcome_unknown, refusal

VALID_FOR: Final = timedelta(seconds=60)
PRODUCE_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What identifies a command: who asks in which tenant, under which key, for what.

    `valid_for`: how long the asker waits. Later than that it is not decided any more; None: who
    asked does not wait but looks at the outcome when it comes.
    """

    tenant: str
    asker: str
    idempotency_key: str
    body: Mapping[str, Any]
    valid_for: timedelta | None = VALID_FOR
    # Which partition must decide it, where it is about none's key.
    partition: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """Turns wishes into commands and waits for what was decided."""

    producer: Producer
    vault: Vault
    following: Following
    book: AnswerBook
    queries: Queries
    clock: Clock
    command_key: bytes
    answer_within: timedelta

    def command_id(self, wish: Wish) -> str:
        named = ["command-id", wish.tenant, wish.asker, wish.idempotency_key]
        text = "\0".join(named)
        return hmac.new(self.command_key, text.encode(), hashlib.sha256).hexdigest()[:32]

    def command_hash(self, wish: Wish) -> bytes:
        """HMAC over RFC 8785 JSON of the clear body: equal bodies, and nobody can guess them."""
        clear = b"command-hash\0" + rfc8785.dumps(dict(wish.body))
        return hmac.new(self.command_key, clear, hashlib.sha256).digest()

    def earlier(self, wish: Wish) -> Answer | None:
        """The answer this very wish has had already.

        Raises:
            Problem: the key was used for something else.
        """
        answer = self._known(self.command_id(wish))
        if answer is None:
            return None
        return self._judged(answer, self.command_hash(wish))

    def keep(self, wish: Wish, person: Person, texts: Mapping[str, str]) -> Put:
        """Put what the workers will need into the vault; `texts` are reasons and evidence."""
        fields = {
            "handles": Field(
                "work",
                {
                    "tenant": wish.tenant,
                    "stable_id": person.stable_id,
                    "name": person.name,
                    "email": person.email,
                    "handles": dict(person.handles),
                },
            ),
            "comms": Field("comms", {"email": person.email, "name": person.name}),
        }
        fields |= {name: Field("audit", {"text": text}) for name, text in texts.items()}
        return self._put(wish, person, fields)

    def keep_texts(self, wish: Wish, person: Person, texts: Mapping[str, str]) -> Mapping[str, str]:
        """Reasons and evidence about a request that exists; the vault id of each."""
        fields = {name: Field("audit", {"text": text}) for name, text in texts.items()}
        return self._put(wish, person, fields).vault_ids

    def _put(self, wish: Wish, person: Person, fields: Mapping[str, Field]) -> Put:
        identity = Identity(wish.tenant, person.stable_id, person.email)
        try:
            return self.vault.put(identity, fields, self.command_id(wish))
        except VaultRefused as refused:
            # The key came before, about somebody or something else, and has no answer yet.
            if refused.code == "PUT_MISMATCH":
                raise refusal("IDEMPOTENCY_MISMATCH") from refused
            raise

    def actor_ref(self, tenant: str, stable_id: str) -> str:
        """The pseudonym under which somebody acts."""
        put_id = derived_id("actor", tenant, stable_id)
        return self.vault.put(Identity(tenant, stable_id), {}, put_id).subject_ref

    def file(
        self,
        wish: Wish,
        command: IntakeCommand,
        actor: Actor,
        subject_ref: str | None,
        attested: Attested = (),
    ) -> Answer:
        """Send the command and wait for its decision; one that was answered is not sent again.

        Raises:
            Problem: refused, or the outcome is not known in time.
        """
        if earlier := self.earlier(wish):
            return earlier
        command_id = self.command_id(wish)
        now = self.clock.now()
        tenant = tenant_ref(wish.tenant)
        message = CommandMessage(
            id=command_id,
            hash=self.command_hash(wish),
            issuer="request_api",
            actor=actor,
            subject_ref=subject_ref,
            tenant_ref=tenant,
            attested=attested,
            issued_at=now,
            valid_until=None if wish.valid_for is None else now + wish.valid_for,
            body=encode(command),
        )
        key = (subject_ref or tenant).encode()
        fp("api.producing")
        try:
            self.producer.send_and_wait([_outgoing(key, message, wish.partition)], PRODUCE_S)
        except BrokerError as failure:
            # It may be there all the same; only the log can tell, and a retry asks it.
            raise outcome_unknown() from failure
        fp("api.produced")
        within_s = self.answer_within.total_seconds()
        self.following.wait_until(lambda: self.book.answer(command_id) is not None, within_s)
        fp("api.decided")
        try:
            decided = self.earlier(wish)
        except DatabaseUnavailable as failure:
            raise outcome_unknown() from failure
        if decided is None:
            raise outcome_unknown()
        return decided

    def _known(self, command_id: str) -> Answer | None:
        with self.following.lock:
            answer = self.book.answer(command_id)
            has_forgotten = self.book.has_forgotten
        if answer is not None or not has_forgotten:
            return answer
        row = self.queries.command(command_id)
        return None if row is None else self._recalled(row)

    def _recalled(self, row: CommandView) -> Answer:
        """An answer that is too old for the book, put together from the views."""
        events = [
            event
            for event in self.queries.timeline(row.request_id or "", after_seq=row.seq - 1)
            if (event.partition, event.seq) == (row.partition, row.seq)
        ]
        return Answer(
            partition=row.partition,
            seq=row.seq,
            verdict=row.verdict,
            code=row.code,
            hash=row.hash,
            reference=row.reference or "",
            state=state_after(
                row.command_type,
                [event.event_type for event in events],
                needs_approval=any(event.details.get("needs_approval") for event in events),
            ),
        )

    @staticmethod
    def _judged(answer: Answer, command_hash: bytes) -> Answer:
        if answer.hash != command_hash:
            raise refusal("IDEMPOTENCY_MISMATCH")
        if answer.verdict == Verdict.REJECTED:
            raise refusal(answer.code)
        return answer


def _outgoing(key: bytes, message: CommandMessage, partition: int | None) -> Outgoing:
    return Outgoing(topic=COMMANDS_INTAKE, key=key, value=encode(message), partition=partition)
