"""The steps of the demo, each ending in something that is so or is not.

Two people of one workspace: Ada exports her data and is then erased by an administrator; Bruno's
erasure is filed by a product service on its own topic.
"""

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2

from devstack.demo import archives, evidence
from devstack.demo.visitor import DemoFailedError, Place, Visitor
from devstack.installation import Running
from devstack.products.loading import DemoPerson, people
from devstack.services import PRODUCT_SERVICE
from proofs.keys import SigningKey, VerifyKey
from schemas.codec import decode_as
from schemas.topics import outcomes
from schemas.wire import IntakeOutcome
from sources.emitter import Emitter

BASE: Final = "/api/v1/privacy"
ACME: Final = "acme-wellbeing"
OUTCOME_S: Final = 60.0
Show = Callable[[str, int], None]


@dataclass(slots=True)
class Summary:
    """What the demo did, for its last line."""

    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    archive: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, dict[str, int]] = field(default_factory=dict)


class Story:
    """`show(what, percent)` is called as things move."""

    def __init__(self, running: Running, show: Show, say: Callable[[str], None]) -> None:
        self._running = running
        self._show = show
        self._say = say
        self._place = Place(api=running.places.api_url, issuer=running.endpoints.issuer_url)
        self._cast = {(p.tenant, p.name.split()[0]): p for p in people()}
        self.summary = Summary()

    def tell(self) -> Summary:
        ada, bruno = self._cast[ACME, "Ada"], self._cast[ACME, "Bruno"]
        dana = self._visit(self._cast[ACME, "Dana"])
        self._timed("policy", lambda: self._publish(dana))
        herself = self._visit(ada)
        link = self._timed("export", lambda: self._export(herself, ada))
        self._timed("erasure", lambda: self._erase(dana, ada, link))
        self._timed("erasure by topic", lambda: self._erase_by_topic(dana, bruno))
        for visitor in (dana, herself):
            visitor.close()
        return self.summary

    def _visit(self, person: DemoPerson) -> Visitor:
        return Visitor(self._place, person.email, person.password)

    def _timed(self, what: str, step: Callable[[], Any]) -> Any:
        begun_s = time.monotonic()
        result = step()
        self.summary.seconds[what] = round(time.monotonic() - begun_s, 2)
        return result

    def _publish(self, dana: Visitor) -> None:
        body = {"profile": "workspace-admin", "package_format": "ZIP"}
        dana.post(f"{BASE}/policies", body, "demo-policy")
        self._say("The workspace has a policy: profile workspace-admin, archives as ZIP.")

    def _export(self, herself: Visitor, ada: DemoPerson) -> str:
        filed = herself.post(f"{BASE}/requests", {"type": "export"}, "demo-export")
        reference = filed["reference"]
        self._say(f"A person asked for a copy of her data: {reference}.")
        for body in herself.follow(reference):
            self._show(f"{reference} {body['state'].lower()}", body["percent"])
        self._expect_end(body, reference, "COMPLETED")
        granted = herself.post(f"{BASE}/requests/{reference}/downloads", None, "demo-download")
        fetched = herself.download(granted["url"])
        if fetched.status_code != httpx2.codes.OK:
            raise DemoFailedError(f"The download answered {fetched.status_code}.")
        digest = _announced(fetched.headers.get("repr-digest", ""))
        checked = archives.check(fetched.content, digest, self._verify_key())
        before = evidence.count(self._running.endpoints, ada)
        if not checked.records or not before.journal:
            raise DemoFailedError("The archive is empty although the products hold data.")
        self.summary.archive = {
            "bytes": checked.bytes,
            "sha256": checked.sha256,
            "files": checked.files,
            "sections": checked.sections,
        }
        self._say(
            f"Downloaded and verified: {checked.bytes} bytes, {checked.records} records in "
            f"{len(checked.sections)} sections, every SHA-256 as listed, signature good."
        )
        url: str = granted["url"]
        return url

    def _erase(self, dana: Visitor, ada: DemoPerson, link: str) -> None:
        body = {
            "type": "erasure",
            "subject": {"email": ada.email},
            "reason": "User request via support email",
        }
        filed = dana.post(f"{BASE}/requests", body, "demo-erasure")
        self._say(f"An administrator filed an erasure: {filed['reference']}.")
        self._confirm_and_finish(dana, ada, filed["reference"])
        gone = dana.download(link)
        if gone.status_code not in (httpx2.codes.GONE, httpx2.codes.NOT_FOUND):
            raise DemoFailedError("The archive could still be downloaded after the erasure.")

    def _erase_by_topic(self, dana: Visitor, bruno: DemoPerson) -> None:
        key = httpx2.get(f"{self._running.places.keyring_url}/public-key", timeout=10).json()
        bootstrap = self._running.endpoints.kafka_bootstrap
        with Emitter(PRODUCT_SERVICE, kafka=bootstrap, recipient=key["public_key"]) as emitter:
            emitter.file_erasure(
                tenant=ACME,
                stable_id=bruno.stable_id,
                reason="Account closed in the journal app",
                message_id="demo-close-account-1",
            )
        reference = self._outcome("demo-close-account-1")
        self._say(f"A product service filed an erasure on its topic: {reference}.")
        self._confirm_and_finish(dana, bruno, reference)

    def _outcome(self, message_id: str) -> str:
        reader = self._running.connection.reader()
        topic = outcomes(PRODUCT_SERVICE)
        tps = [(topic, p) for p in range(3)]
        reader.assign(reader.start_offsets(tps))
        deadline = time.monotonic() + OUTCOME_S
        try:
            while time.monotonic() < deadline:
                for record in reader.poll(10, 0.2):
                    outcome = decode_as(IntakeOutcome, record.value or b"")
                    if outcome.message_id == message_id:
                        if outcome.outcome != "ACCEPTED":
                            raise DemoFailedError(f"The filing was refused: {outcome.code}.")
                        return outcome.reference
        finally:
            reader.close()
        raise DemoFailedError("The product service got no outcome.")

    def _confirm_and_finish(self, dana: Visitor, person: DemoPerson, reference: str) -> None:
        path = f"{BASE}/requests/{reference}"
        before = evidence.count(self._running.endpoints, person)
        plan = self._plan(dana, path)
        body = {
            "typed_email": person.email,
            "reason": "Confirmed with the person by telephone",
            "plan_hash": plan,
            "skip_grace": {"ground": "WRITTEN_WAIVER", "evidence": "Waiver on file, folder 12"},
        }
        dana.post(f"{path}/confirm-erasure", body, f"demo-confirm-{reference}")
        for state in dana.follow(reference):
            self._show(f"{reference} {state['phase'].lower()}", state["percent"])
        self._expect_end(state, reference, "COMPLETED")
        after = evidence.count(self._running.endpoints, person)
        if after.journal or after.invoices != before.invoices or not before.journal:
            raise DemoFailedError("The product databases do not hold what the erasure says.")
        self._check_trail(dana, path)
        self.summary.rows[reference] = {
            "journal_before": before.journal,
            "journal_after": after.journal,
            "invoices_before": before.invoices,
            "invoices_after": after.invoices,
        }
        self._say(
            f"{reference}: {before.journal} journal rows are gone, {after.invoices} invoices kept "
            "by tax law; the probe agrees, and the trail names the waiver."
        )

    def _plan(self, dana: Visitor, path: str) -> str:
        deadline = time.monotonic() + OUTCOME_S
        while time.monotonic() < deadline:
            plan = dana.get(f"{path}/plan")
            if plan["plan_hash"]:
                found: str = plan["plan_hash"]
                return found
        raise DemoFailedError("The sources did not plan the erasure in time.")

    def _check_trail(self, dana: Visitor, path: str) -> None:
        """Probe and audit trail, as the views tell them."""
        left = [s["left_bucket"] for s in dana.get(f"{path}/plan")["sections"] if s["section"]]
        if not left or any(bucket != 0 for bucket in left):
            raise DemoFailedError("The probe does not say that nothing is left.")
        trail = {event["event"]: event["details"] for event in dana.get(f"{path}/timeline")}
        confirmed = trail.get("ErasureConfirmed", {})
        if not confirmed.get("grace_skipped") or confirmed.get("skip_ground") != "WRITTEN_WAIVER":
            raise DemoFailedError("The trail does not name the toggle and its ground.")

    def _expect_end(self, body: Mapping[str, Any], reference: str, state: str) -> None:
        self.summary.requests[reference] = {
            "type": body["type"],
            "state": body["state"],
            "outcome": body["outcome"],
        }
        if body["state"] != state:
            raise DemoFailedError(f"{reference} ended as {body['state']}: {body['failure']}.")

    def _verify_key(self) -> VerifyKey:
        return SigningKey.load(self._running.places.signing_key.read_bytes()).public


def _announced(header: str) -> str:
    return base64.b64decode(header.removeprefix("sha-256=:").removesuffix(":")).hex()
