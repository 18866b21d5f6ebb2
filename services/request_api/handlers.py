"""One function an operation: from a checked call to an answer."""

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import timedelta

from logbook.attesting import sole_administrator
from plumbing.clock import Clock
from plumbing.directory import Directory, Person
from plumbing.web import Answer, Call, Caller, Problem, Wire
from projections.queries import RequestView
from rights import commands as cmd
from rights.commands import Actor, AttestedFact
from rights.policies import PROFILES, PackageFormat, Policy, Role
from services.request_api import models as md
from services.request_api.answers import Answer as Decided
from services.request_api.filing import Filing, Wish
from services.request_api.reading import Reading, tenant_of
from services.request_api.refusals import outcome_unknown, refusal

# The strongest capacity in which a person may act for another.
_CAPACITIES = (
    ("system_admin", Role.SYSTEM_ADMIN),
    ("admin", Role.ADMIN),
    ("privacy_officer", Role.PRIVACY_OFFICER),
    ("coach", Role.COACH),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handlers:
    filing: Filing
    reading: Reading
    directory: Directory
    sources: tuple[str, ...]
    clock: Clock

    def file_request(self, call: Call) -> Answer:
        body = call.body_as(md.FileRequest)
        caller = call.known_caller
        wish = self._wish(call, body)
        if earlier := self.filing.earlier(wish):
            return _filed(earlier)
        person = self._person(caller, body.subject)
        kept = self.filing.keep(wish, person, {"reason": body.reason} if body.reason else {})
        actor = self._actor(caller, person, kept.subject_ref)
        command: cmd.SubmitExport | cmd.SubmitErasure
        attested: tuple[AttestedFact, ...] = ()
        if body.type == "export":
            command = cmd.SubmitExport(
                handles_vault_id=kept.vault_ids["handles"],
                comms_vault_id=kept.vault_ids["comms"],
                reason_vault_id=kept.vault_ids.get("reason"),
                language=body.language,
            )
        else:
            attested = (self._guard(tenant_of(caller), person),)
            command = cmd.SubmitErasure(
                handles_vault_id=kept.vault_ids["handles"],
                comms_vault_id=kept.vault_ids["comms"],
                reason_vault_id=kept.vault_ids.get("reason"),
                language=body.language,
            )
        return _filed(self.filing.file(wish, command, actor, kept.subject_ref, attested))

    def list_requests(self, call: Call) -> Answer:
        query = call.query_as(md.Listing)
        self.reading.await_position(call)
        rows, following = self.reading.listed(call.known_caller, query.after, query.limit)
        page = md.PageBody(next=following, limit=query.limit)
        return Answer(body=md.ListAnswer(data=rows, page=page))

    def show_request(self, call: Call) -> Answer:
        view = self._visible(call)
        body = md.RequestAnswer(data=self.reading.body(view))
        return Answer(body=body, headers={"ETag": f'"{view.version}"'})

    def show_timeline(self, call: Call) -> Answer:
        view = self._visible(call)
        rows = self.reading.queries.timeline(view.request_id)
        events = [
            md.EventBody(
                at=row.at,
                event=row.event_type,
                actor_role=row.actor_role.lower() if row.actor_role else None,
                details=dict(row.details),
            )
            for row in rows
        ]
        return Answer(body=md.TimelineAnswer(data=events))

    def show_plan(self, call: Call) -> Answer:
        view = self._visible(call)
        rows = self.reading.queries.sections(view.request_id)
        sections = [
            md.SectionBody(
                source=row.source,
                section=row.section,
                state=row.state,
                items=[dict(item) for item in row.items],
                deleted_bucket=row.deleted_bucket,
                anonymised_bucket=row.anonymised_bucket,
                retained_bucket=row.retained_bucket,
                left_bucket=row.left_bucket,
            )
            for row in rows
        ]
        return Answer(
            body=md.PlanAnswer(
                data=md.PlanBody(plan_hash=view.plan_hash or None, sections=sections)
            )
        )

    def approve(self, call: Call) -> Answer:
        view = self._visible(call)
        return self._act(call, view, cmd.ApproveExport(request_id=view.request_id))

    def cancel(self, call: Call) -> Answer:
        view = self._visible(call)
        return self._act(call, view, cmd.CancelRequest(request_id=view.request_id))

    def confirm_erasure(self, call: Call) -> Answer:
        """Whose the typed address is, is asked of the directory; nobody learns another's (E3-10)."""
        body = call.body_as(md.ConfirmErasure)
        view = self._visible(call)
        wish = self._wish(call, body)
        if earlier := self.filing.earlier(wish):
            return _moved(view, earlier)
        person = self.directory.find(wish.tenant, email=body.typed_email)
        found = person and self.reading.vault.find(wish.tenant, person.stable_id)
        if person is None or found != view.subject_ref:
            raise refusal("EMAIL_MISMATCH")
        typed = AttestedFact(
            fact="typed_email_matches",
            value="true",
            source=f"directory:{wish.tenant}",
            as_of=self.clock.now(),
        )
        texts = {"reason": body.reason}
        if body.skip_grace and body.skip_grace.evidence:
            texts["evidence"] = body.skip_grace.evidence
        attested = (typed, self._guard(wish.tenant, person))
        actor = self._actor_on(call.known_caller, view)
        ids = self.filing.keep_texts(wish, person, texts)
        command = cmd.ConfirmErasure(
            request_id=view.request_id,
            plan_hash=body.plan_hash,
            reason_vault_id=ids["reason"],
            skip_grace=body.skip_grace is not None,
            skip_ground=body.skip_grace.ground if body.skip_grace else None,
            evidence_vault_id=ids.get("evidence"),
        )
        return _moved(view, self.filing.file(wish, command, actor, view.subject_ref, attested))

    def grant_download(self, call: Call) -> Answer:
        view = self._visible(call)
        caller = call.known_caller
        token = secrets.token_hex(32)
        wish = Wish(
            tenant=tenant_of(caller),
            asker=_asker(caller),
            idempotency_key=secrets.token_hex(16),
            body={"download": view.reference},
        )
        digest = hashlib.sha256(token.encode()).hexdigest()
        command = cmd.GrantDownload(request_id=view.request_id, token_sha256=digest)
        actor = self._actor_on(caller, view)
        self.filing.file(wish, command, actor, view.subject_ref)
        with self.filing.following.lock:
            grant = self.filing.book.grant(digest)
        if grant is None:
            # Decided, but not in our book: a new link costs nothing.
            raise outcome_unknown()
        data = md.DownloadBody(url=f"/api/v1/privacy/downloads/{token}", until=grant.until)
        return Answer(status=201, body=md.DownloadAnswer(data=data))

    def publish_policy(self, call: Call) -> Answer:
        body = call.body_as(md.PublishPolicy)
        caller = call.known_caller
        wish = self._wish(call, body)
        actor = Actor(
            role=_capacity(caller), ref=self.filing.actor_ref(wish.tenant, caller.subject)
        )
        answer = self.filing.file(wish, cmd.PublishPolicy(policy=self._policy(body)), actor, None)
        return Answer(body=md.FiledAnswer(data=_told("", answer)))

    def confirm_clock(self, call: Call) -> Answer:
        """Suspicion is a matter of each partition, so each of them is told."""
        caller = call.known_caller
        actor = Actor(
            role=_capacity(caller), ref=self.filing.actor_ref(tenant_of(caller), caller.subject)
        )
        key = call.request.headers["idempotency-key"]
        for partition in sorted(self.filing.following.seqs()):
            wish = Wish(
                tenant=tenant_of(caller),
                asker=caller.subject,
                idempotency_key=f"{key} {partition}",
                body={"path": call.request.url.path},
                partition=partition,
            )
            answer = self.filing.file(wish, cmd.ConfirmClock(), actor, None)
        return Answer(body=md.FiledAnswer(data=_told("", answer)))

    def _policy(self, body: md.PublishPolicy) -> Policy:
        shipped = PROFILES[body.profile]
        sources = self.sources if body.sources is None else tuple(sorted(set(body.sources)))
        if unknown := set(sources) - set(self.sources):
            raise Problem(
                422,
                "SOURCE_UNKNOWN",
                "A source is named that this installation does not have.",
                next_step="Register it first, or leave it out.",
                members={"unknown_count": len(unknown)},
            )
        policy = replace(shipped, sources=sources)
        if body.grace_days is not None:
            policy = replace(policy, grace=timedelta(days=body.grace_days))
        if body.artifact_ttl_seconds is not None:
            policy = replace(policy, artifact_ttl=timedelta(seconds=body.artifact_ttl_seconds))
        if body.wait_max_seconds is not None:
            policy = replace(policy, wait_max=timedelta(seconds=body.wait_max_seconds))
        if body.package_format is not None:
            policy = replace(policy, package_format=PackageFormat(body.package_format))
        if body.notify_ready_required is not None:
            policy = replace(policy, notify_ready_required=body.notify_ready_required)
        return policy

    def _act(
        self, call: Call, view: RequestView, command: cmd.ApproveExport | cmd.CancelRequest
    ) -> Answer:
        actor = self._actor_on(call.known_caller, view)
        return _moved(view, self.filing.file(self._wish(call), command, actor, view.subject_ref))

    def _wish(self, call: Call, body: Wire | None = None) -> Wish:
        caller = call.known_caller
        said = body.model_dump(mode="json") if body else {}
        return Wish(
            tenant=tenant_of(caller),
            asker=_asker(caller),
            idempotency_key=call.request.headers["idempotency-key"],
            body={"path": call.request.url.path, **said},
        )

    def _visible(self, call: Call) -> RequestView:
        self.reading.await_position(call)
        return self.reading.visible(call.known_caller, str(call.path["reference"]))

    def _person(self, caller: Caller, named: md.PersonNamed | None) -> Person:
        tenant = tenant_of(caller)
        if named is None or named.stable_id == caller.subject:
            person = self.directory.find(tenant, stable_id=caller.subject)
        elif not caller.roles & {role for role, _ in _CAPACITIES}:
            # Whether somebody exists is not for everybody to learn.
            raise refusal("FORBIDDEN")
        elif (named.email is None) == (named.stable_id is None):
            raise Problem(
                422, "VALIDATION_FAILED", "Name the person by exactly one of stable_id and email."
            )
        else:
            person = self.directory.find(tenant, email=named.email, stable_id=named.stable_id)
        if person is None:
            raise Problem(
                404,
                "PERSON_NOT_FOUND",
                "No such person in this workspace.",
                next_step="Check the id or the address; both must match exactly.",
            )
        return person

    def _actor(self, caller: Caller, person: Person, subject_ref: str) -> Actor:
        if person.stable_id == caller.subject:
            return Actor(role=Role.SUBJECT, ref=subject_ref)
        ref = self.filing.actor_ref(tenant_of(caller), caller.subject)
        return Actor(role=_capacity(caller), ref=ref)

    def _actor_on(self, caller: Caller, view: RequestView) -> Actor:
        ref = self.filing.actor_ref(tenant_of(caller), caller.subject)
        if ref == view.subject_ref:
            return Actor(role=Role.SUBJECT, ref=ref)
        return Actor(role=_capacity(caller), ref=ref)

    def _guard(self, tenant: str, person: Person) -> AttestedFact:
        return sole_administrator(self.directory, tenant, person, now=self.clock.now())


def _capacity(caller: Caller) -> Role:
    for name, role in _CAPACITIES:
        if name in caller.roles:
            return role
    # An auditor sees what they may not touch.
    raise refusal("FORBIDDEN")


def _asker(caller: Caller) -> str:
    """Whose Idempotency-Keys these are; a product service of the same name has others."""
    return f"person:{caller.subject}"


def _filed(answer: Decided) -> Answer:
    headers = {**_where(answer.reference, answer), "ETag": '"1"'}
    body = md.FiledAnswer(data=_told(answer.reference, answer))
    return Answer(status=202, body=body, headers=headers)


def _moved(view: RequestView, answer: Decided) -> Answer:
    body = md.FiledAnswer(data=_told(view.reference, answer))
    return Answer(status=202, body=body, headers=_where(view.reference, answer))


def _told(reference: str, answer: Decided) -> md.FiledBody:
    position = f"{answer.partition}-{answer.seq}"
    return md.FiledBody(reference=reference, state=answer.state, position=position)


def _where(reference: str, answer: Decided) -> dict[str, str]:
    return {
        "Location": f"/api/v1/privacy/requests/{reference}",
        "Habeas-Position": f"{answer.partition}-{answer.seq}",
    }
