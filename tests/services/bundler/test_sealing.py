"""A seal or remove order, and everything that can come between it and its report."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from plumbing import failpoints
from plumbing.failpoints import FailpointError
from plumbing.kafka import Outgoing
from plumbing.objects import MemoryObjects, StoreRefused, StoreUnavailable
from plumbing.vault import VaultUnavailable
from proofs.envelope import key_id_of
from rights.lifecycle import State
from rights.orders import CollectSections, RemoveBundle, SealBundle
from rights.reports import (
    ReportBundleFailed,
    ReportBundleRemoved,
    ReportBundleSealed,
    ReportExtentsGone,
    bucket,
)
from schemas.codec import decode_as
from schemas.topics import PROGRESS, fragments
from schemas.wire import ProgressMessage
from tests.services.bundler.stage import AS_JSON, ZIPPED, BundlerStage, members, sha256
from tests.services.collectors.people import MemorySource
from tests.services.collectors.stage import TENANT_NAME, billing


def many_rows() -> dict[str, MemorySource]:
    rows = [{"id": i, "body": sha256(str(i).encode()) * 20} for i in range(2000)]
    return {
        "journal": MemorySource(name="journal", rows={"entries": {"u-17": rows}}),
        "billing": billing(),
    }


def test_a_sealed_archive_is_reported_with_what_the_store_holds(tmp_path: Path) -> None:
    with BundlerStage(folder=tmp_path, policy=ZIPPED) as stage:
        request_id = stage.exported()
        order = stage.owed_of(SealBundle)

        sealed = stage.seal()

        assert isinstance(sealed, ReportBundleSealed)
        stored = b"".join(stage.store.read(sealed.object_key))
        assert sha256(stored) == sealed.ciphertext_sha256.hex()
        assert sealed.size_bucket == bucket(len(stored))
        assert sealed.has_records
        assert stage.export(request_id).state is State.COMPLETED
        contents = stage.contents(request_id)
        archive = stage.archive(request_id)
        assert (contents["bytes"], contents["sha256"]) == (len(archive), sha256(archive))
        assert contents["key_id"] == key_id_of(stored).hex()
        assert contents["order_id"] == order.order_id == sealed.object_key.rpartition("/")[2]
        assert [(s["name"], s["records"], s["files"]) for s in contents["sections"]] == [
            ("invoices", 1, 1),
            ("entries", 3, 1),
            ("moods", 0, 4),
        ]


def test_nothing_that_lies_in_the_store_can_be_read_without_the_key(tmp_path: Path) -> None:
    with BundlerStage(folder=tmp_path, policy=AS_JSON) as stage:
        stage.exported()
        sealed = stage.seal()

        stored = b"".join(stage.store.read(sealed.object_key))

        assert not any(word in stored for word in (b"manifest", b"entry", b"example.org"))
        assert stage.store.head(sealed.object_key).metadata == {}
        assert stage.ines not in sealed.object_key
        assert TENANT_NAME not in sealed.object_key


def test_a_crash_before_the_report_leads_to_one_archive_and_no_leftover(tmp_path: Path) -> None:
    names = ("upload_started", "part", "completed", "verified")
    for name in names:
        with BundlerStage(folder=tmp_path, policy=ZIPPED) as stage:
            request_id = stage.exported()
            failpoints.arm(f"bundler.{name}:1:err")
            with pytest.raises(FailpointError):
                stage.seal()
            failpoints.disarm()

            stage.seal()

            assert stage.store.keys("")
            assert stage.stored() == [stage.export(request_id).object_key]
            assert members(stage.archive(request_id))


def test_what_a_killed_process_left_in_the_store_is_swept_by_its_successor(tmp_path: Path) -> None:
    with BundlerStage(folder=tmp_path, policy=ZIPPED) as stage:
        request_id = stage.exported()
        leftover = stage.store.start(f"exports/{request_id}/dead/order", {})
        leftover.part(bytes(200_000))
        whole = stage.store.start(f"exports/{request_id}/whole/order", {})
        whole.part(b"complete, and nobody was told")
        whole.complete()
        other = stage.store.start("exports/other/run/order", {})
        other.complete()

        bundler = stage.bundler()
        task = stage.task(stage.owed_of(SealBundle))
        stage.decide_while(lambda: bundler.carry_out(task))

        assert stage.stored() == [stage.export(request_id).object_key, "exports/other/run/order"]


def test_a_bundler_that_wakes_up_late_overwrites_and_removes_nothing(tmp_path: Path) -> None:
    with BundlerStage(folder=tmp_path, policy=ZIPPED) as stage:
        request_id = stage.exported()
        task = stage.task(stage.owed_of(SealBundle))
        successors: list[Any] = []

        def overtaken(asked: str) -> None:
            # It was stopped just before it completed its upload; another one did the work.
            if asked == "complete" and not successors:
                successors.append(stage.bundler())
                successors[0].carry_out(task)
                (sealed,) = stage.decide("bundler")
                successors.append(sealed)

        stage.store.fault = overtaken
        stage.bundler().carry_out(task)

        assert stage.decide("bundler") == []
        assert stage.stored() == [stage.export(request_id).object_key]
        sealed = successors[1]
        assert sha256(b"".join(stage.store.read(sealed.object_key))) == (
            sealed.ciphertext_sha256.hex()
        )


def test_a_report_that_is_repeated_is_decided_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.bundler.loop.DECIDED_PATIENCE_S", 0.01)
    with BundlerStage(folder=tmp_path, policy=ZIPPED) as stage:
        request_id = stage.exported()
        order = stage.owed_of(SealBundle)
        task = stage.task(order)
        failpoints.arm("bundler.reported:1:err")
        with pytest.raises(FailpointError):
            stage.bundler().carry_out(task)
        failpoints.disarm()
        # Nobody has decided yet, so the order is still pending and is carried out again.
        stage.bundler().carry_out(task)

        first, second = stage.decide("bundler")

        assert first.object_key != second.object_key
        assert stage.export(request_id).object_key == first.object_key
        assert members(stage.archive(request_id))


@pytest.mark.parametrize("operation", ["uploads", "start", "part", "complete", "read"])
def test_a_store_that_stays_away_ends_the_request_and_leaves_nothing(
    tmp_path: Path, operation: str
) -> None:
    def fault(asked: str) -> None:
        if asked == operation:
            raise StoreUnavailable("503")

    store = MemoryObjects(part_bytes=64 * 1024)
    with BundlerStage(folder=tmp_path, policy=ZIPPED, sources=many_rows(), store=store) as stage:
        request_id = stage.exported()
        store.fault = fault

        failed = stage.seal()
        store.fault = lambda _: None

        assert isinstance(failed, ReportBundleFailed)
        assert failed.code == "STORE_UNAVAILABLE"
        assert stage.export(request_id).failure == "STORE_UNAVAILABLE"
        assert stage.stored() == []
        assert list(tmp_path.iterdir()) == []


def test_a_store_that_gives_back_something_else_is_not_trusted(tmp_path: Path) -> None:
    class Lossy(MemoryObjects):
        def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
            yield from list(super().read(key, start, end))[:-1]

    with BundlerStage(folder=tmp_path, policy=ZIPPED, store=Lossy()) as stage:
        stage.exported()

        failed = stage.seal()

        assert failed.code == "STORE_DIFFERS"
        assert stage.stored() == []


def test_a_store_that_refuses_ends_the_request(tmp_path: Path) -> None:
    def fault(asked: str) -> None:
        if asked == "complete":
            raise StoreRefused("AccessDenied")

    with BundlerStage(folder=tmp_path, policy=ZIPPED) as stage:
        stage.exported()
        stage.store.fault = fault

        assert stage.seal().code == "STORE_REFUSED"


def test_an_upload_that_a_successor_aborted_ends_without_a_word(tmp_path: Path) -> None:
    def fault(asked: str) -> None:
        if asked == "complete":
            raise StoreRefused("NoSuchUpload")

    with BundlerStage(folder=tmp_path, policy=ZIPPED) as stage:
        stage.exported()
        stage.store.fault = fault

        assert stage.work_off(SealBundle) == []


def test_more_than_the_quota_ends_the_request(tmp_path: Path) -> None:
    with BundlerStage(
        folder=tmp_path, policy=ZIPPED, sources=many_rows(), spool_bytes_max=10_000
    ) as stage:
        request_id = stage.exported()

        assert stage.seal().code == "EXPORT_TOO_LARGE"
        assert stage.export(request_id).state is State.FAILED
        assert stage.stored() == []


def test_fragments_that_are_gone_are_collected_again(tmp_path: Path) -> None:
    with BundlerStage(folder=tmp_path, policy=ZIPPED) as stage:
        request_id = stage.exported()
        order = stage.owed_of(SealBundle)
        extent = next(e.extent for e in order.extents if e.source == "journal")
        place = (fragments("journal"), extent.partition)
        stage.connection.admin().trim({place: extent.runs[-1].last + 1})

        gone = stage.seal()

        assert isinstance(gone, ReportExtentsGone)
        assert gone.source == "journal"
        assert stage.owed_of(CollectSections).fence == 2
        stage.collect("journal")
        assert isinstance(stage.seal(), ReportBundleSealed)
        assert members(stage.archive(request_id))


def test_a_fragment_that_was_exchanged_is_refused(tmp_path: Path) -> None:
    """Somebody who can write the topic and the report, but has no key."""
    with BundlerStage(folder=tmp_path, policy=ZIPPED) as stage:
        stage.exported()
        order = stage.owed_of(SealBundle)
        original = stage.fragments("journal")
        outs = [
            Outgoing(topic=r.topic, key=r.key, partition=r.partition, value=r.value or b"")
            for r in original[::-1]
        ]
        stage.connection.producer().send_and_wait(outs, 10)
        forged = stage.forged(order, "journal", shift=len(original))

        with pytest.raises(Exception, match="FRAGMENTS_TAMPERED"):
            stage.seal_run(forged)
        assert stage.stored() == []


def test_fragments_of_another_run_are_never_taken_for_this_one(tmp_path: Path) -> None:
    with BundlerStage(folder=tmp_path, policy=ZIPPED) as stage:
        stage.file_export()
        failpoints.arm("collector.fragments_done:1:err")
        with pytest.raises(FailpointError):
            stage.collect("journal")
        failpoints.disarm()
        stage.decide("journal")
        stage.collect_all()
        order = stage.owed_of(SealBundle)

        dead = stage.forged(order, "journal", shift=-len(stage.fragments("journal")) // 2)

        with pytest.raises(Exception, match="FRAGMENTS_TAMPERED"):
            stage.seal_run(dead)
        assert isinstance(stage.seal(), ReportBundleSealed)


def test_without_the_keyring_the_order_waits_and_what_was_done_is_kept(tmp_path: Path) -> None:
    with BundlerStage(folder=tmp_path, policy=ZIPPED) as stage:
        stage.exported()
        calls = [0]

        def away() -> None:
            calls[0] += 1
            # First at the beginning, and again when the contents are to be noted.
            if calls[0] <= 3 or 5 <= calls[0] <= 6:
                raise VaultUnavailable("UNREACHABLE")

        stage.keyring.fault = away

        assert isinstance(stage.seal(), ReportBundleSealed)
        assert stage.pauses == [0.5, 1.0, 2.0, 0.5, 1.0]


def test_keys_are_held_no_longer_than_they_were_lent(tmp_path: Path) -> None:
    with BundlerStage(folder=tmp_path, policy=ZIPPED) as stage:
        stage.exported()
        stage.keyring.lease = timedelta(0)
        calls = [0]

        def count() -> None:
            calls[0] += 1

        stage.keyring.fault = count
        stage.seal()

        # Each fragment, the handles, the archive's key twice, and the table of contents.
        assert calls[0] == len(stage.fragments("journal")) + len(stage.fragments("billing")) + 4


def test_a_request_cancelled_meanwhile_leaves_nothing_and_says_nothing(tmp_path: Path) -> None:
    with BundlerStage(folder=tmp_path, policy=ZIPPED, sources=many_rows()) as stage:
        request_id = stage.exported()

        def cancel(asked: str) -> None:
            if asked == "start":
                stage.cancel(request_id)

        stage.store.fault = cancel

        assert stage.work_off(SealBundle) == []
        assert stage.stored() == []


def test_a_process_that_is_asked_to_stop_leaves_the_order_for_later(tmp_path: Path) -> None:
    with BundlerStage(folder=tmp_path, policy=ZIPPED, stop_after=0) as stage:
        stage.exported()
        task = stage.task(stage.owed_of(SealBundle))

        assert not stage.bundler().carry_out(task)
        assert stage.decide("bundler") == []
        assert stage.stored() == []


def test_a_long_seal_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.bundler.sealing.SIGN_OF_LIFE_S", 0.0)
    with BundlerStage(folder=tmp_path, policy=ZIPPED, sources=many_rows()) as stage:
        stage.exported()
        order = stage.owed_of(SealBundle)
        stage.seal()

        messages = [decode_as(ProgressMessage, r.value or b"") for r in stage.records(PROGRESS)]
        shown = [m.percent for m in messages if m.order_id == order.order_id]
        assert shown == sorted(shown)
        assert shown[-1] == 100
        assert len(shown) > 5


def test_removal_takes_the_archive_and_every_leftover_and_nothing_else(tmp_path: Path) -> None:
    with BundlerStage(folder=tmp_path, policy=ZIPPED) as stage:
        request_id = stage.exported()
        stage.seal()
        leftover = stage.store.start(f"exports/{request_id}/dead/order", {})
        leftover.part(bytes(200_000))
        neighbour = stage.store.start(f"exports/{request_id}0/run/order", {})
        neighbour.complete()
        stage.let_it_expire()

        (removed,) = stage.work_off(RemoveBundle)

        assert isinstance(removed, ReportBundleRemoved)
        assert stage.stored() == [f"exports/{request_id}0/run/order"]
        assert stage.export(request_id).is_removed


def test_removal_waits_for_a_store_that_is_away(tmp_path: Path) -> None:
    with BundlerStage(folder=tmp_path, policy=ZIPPED) as stage:
        request_id = stage.exported()
        stage.seal()
        stage.let_it_expire()
        left = [4]

        def away(asked: str) -> None:
            if left[0]:
                left[0] -= 1
                raise StoreUnavailable("503")

        stage.store.fault = away

        (removed,) = stage.work_off(RemoveBundle)

        assert isinstance(removed, ReportBundleRemoved)
        assert stage.pauses == [0.5, 1.0, 2.0, 4.0]
        assert stage.stored() == []
        assert stage.export(request_id).is_removed


def test_an_extent_of_a_source_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    with BundlerStage(folder=tmp_path, policy=ZIPPED) as stage:
        stage.exported()

        assert stage.seal(sources=("journal",)).code == "SOURCE_UNKNOWN"


def test_the_archive_of_one_person_holds_no_byte_of_another(tmp_path: Path) -> None:
    rows = {"u-17": [{"id": 1, "body": "canary-ines"}], "u-18": [{"id": 2, "body": "canary-omar"}]}
    sources = {
        "journal": MemorySource(name="journal", rows={"entries": rows}),
        "billing": billing(),
    }
    with BundlerStage(folder=tmp_path, policy=AS_JSON, sources=sources) as stage:
        request_id = stage.exported()
        stage.seal()

        archive = stage.archive(request_id)

        assert b"canary-ines" in archive
        assert b"canary-omar" not in archive


def test_an_order_for_other_extents_than_the_log_names_is_not_obeyed(tmp_path: Path) -> None:
    with BundlerStage(folder=tmp_path, policy=ZIPPED) as stage:
        stage.exported()
        order = stage.owed_of(SealBundle)
        forged = replace(order, extents=order.extents[:1])

        stage.bundler()
        assert stage.offer(forged) is None
        assert stage.stored() == []
