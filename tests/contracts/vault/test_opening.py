"""What a vault opens, for whom and until when; memory and real alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from plumbing.vault import Field, Put, Vault, VaultRefused
from rights.orders import CollectSections, PlanSections, RemoveBundle, SealBundle, SendNotice
from tests.contracts.vault.conftest import Stage
from tests.services.keyring.world import (
    CONTENTS,
    MAYA_COMMS,
    MAYA_HANDLES,
    REASON,
    TENANT,
    maya_fields,
    open_for,
)


def code_of(refused: pytest.ExceptionInfo[VaultRefused]) -> str:
    return refused.value.code


class TestOpening:
    def test_a_collector_gets_the_handles_and_the_key_of_its_source(
        self, stage: Stage, api: Vault, collectors: Vault
    ) -> None:
        put = api.put(stage.maya, maya_fields(), stage.put_id("1"))
        stage.log.file_export(put)

        order = stage.log.order(put.subject_ref, CollectSections, "journal")
        opened = open_for(collectors, stage.log, order)

        assert opened.fields == {put.vault_ids["handles"]: MAYA_HANDLES}
        assert opened.keys.keys() == {"journal"}
        assert (len(opened.keys["journal"].key_id), len(opened.keys["journal"].key)) == (16, 32)
        assert opened.lease > timedelta(0)

    def test_a_request_key_is_made_once_and_differs_between_sources(
        self, stage: Stage, api: Vault, collectors: Vault
    ) -> None:
        put = api.put(stage.maya, maya_fields(), stage.put_id("1"))
        stage.log.file_export(put)
        journal = stage.log.order(put.subject_ref, CollectSections, "journal")
        billing = stage.log.order(put.subject_ref, CollectSections, "billing")

        with ThreadPoolExecutor(6) as threads:
            all_opened = list(
                threads.map(lambda _: open_for(collectors, stage.log, journal), range(6))
            )
        other = open_for(collectors, stage.log, billing)

        assert len({opened.keys["journal"].key for opened in all_opened}) == 1
        assert other.keys["billing"].key != all_opened[0].keys["journal"].key
        assert other.keys["billing"].key_id != all_opened[0].keys["journal"].key_id

    def test_the_bundler_gets_the_keys_of_all_sources_and_of_the_archive(
        self, stage: Stage, api: Vault, collectors: Vault, bundler: Vault
    ) -> None:
        put, keys = collected(stage, api, collectors)

        opened = open_for(bundler, stage.log, stage.log.order(put.subject_ref, SealBundle))

        assert opened.keys.keys() == {"archive", "billing", "journal"}
        assert {name: opened.keys[name].key for name in keys} == keys
        assert opened.fields == {put.vault_ids["handles"]: MAYA_HANDLES}

    def test_the_notifier_gets_the_address_and_no_key(self, stage: Stage, api: Vault) -> None:
        put = api.put(stage.maya, maya_fields(), stage.put_id("1"))
        stage.log.file_export(put)
        stage.log.carry_out(put.subject_ref, CollectSections, SealBundle)

        order = stage.log.order(put.subject_ref, SendNotice)
        opened = open_for(stage.client("notifier"), stage.log, order)

        assert opened.fields == {put.vault_ids["comms"]: MAYA_COMMS}
        assert opened.keys == {}

    def test_the_eraser_gets_the_handles(self, stage: Stage, api: Vault) -> None:
        put = api.put(stage.maya, maya_fields(reason=Field("audit", REASON)), stage.put_id("1"))
        stage.log.file_erasure(put)

        order = stage.log.order(put.subject_ref, PlanSections, "billing")
        opened = open_for(stage.client("eraser"), stage.log, order)

        assert opened.fields == {put.vault_ids["handles"]: MAYA_HANDLES}

    def test_an_order_that_nobody_gave_opens_nothing(self, stage: Stage, api: Vault) -> None:
        put = api.put(stage.maya, maya_fields(), stage.put_id("1"))
        stage.log.file_export(put)

        with pytest.raises(VaultRefused) as refused:
            stage.client("collectors").open(order_id="f" * 32, at=stage.log.at(put.subject_ref))

        assert code_of(refused) == "ORDER_NOT_PENDING"

    def test_an_order_that_was_carried_out_opens_nothing_any_more(
        self, stage: Stage, api: Vault, collectors: Vault
    ) -> None:
        put = api.put(stage.maya, maya_fields(), stage.put_id("1"))
        stage.log.file_export(put)
        order = stage.log.order(put.subject_ref, CollectSections, "journal")
        stage.log.carry_out(put.subject_ref, CollectSections)

        with pytest.raises(VaultRefused) as refused:
            open_for(collectors, stage.log, order)

        assert code_of(refused) == "ORDER_NOT_PENDING"

    @pytest.mark.parametrize("service", ["bundler", "notifier", "eraser", "request_api"])
    def test_an_order_opens_for_the_service_whose_work_it_is_only(
        self, stage: Stage, api: Vault, service: str
    ) -> None:
        put = api.put(stage.maya, maya_fields(), stage.put_id("1"))
        stage.log.file_export(put)
        order = stage.log.order(put.subject_ref, CollectSections, "journal")

        with pytest.raises(VaultRefused) as refused:
            open_for(stage.client(service), stage.log, order)

        assert code_of(refused) == "NOT_ALLOWED"

    def test_an_order_to_remove_opens_nothing(
        self, stage: Stage, api: Vault, bundler: Vault
    ) -> None:
        put = api.put(stage.maya, maya_fields(), stage.put_id("1"))
        request_id = stage.log.file_export(put)
        stage.log.carry_out(put.subject_ref, CollectSections)
        stage.log.writer.cancel(put.subject_ref, request_id)
        stage.log.wait(timedelta(0))

        with pytest.raises(VaultRefused) as refused:
            open_for(bundler, stage.log, stage.log.order(put.subject_ref, RemoveBundle))

        assert code_of(refused) == "NOT_ALLOWED"

    def test_an_order_about_rows_that_are_not_there_opens_nothing(
        self, stage: Stage, api: Vault, collectors: Vault
    ) -> None:
        put = api.put(stage.maya, maya_fields(), stage.put_id("1"))
        other = api.put(stage.person(TENANT, "noa"), maya_fields(), stage.put_id("2"))
        # A filing that names somebody else's row.
        request = type(put)(put.subject_ref, other.vault_ids)
        stage.log.file_export(request)

        order = stage.log.order(put.subject_ref, CollectSections, "journal")

        with pytest.raises(VaultRefused) as refused:
            open_for(collectors, stage.log, order)

        assert code_of(refused) == "NOT_FOUND"

    def test_an_opening_names_an_order_or_a_grant_and_not_both(self, api: Vault) -> None:
        with pytest.raises(VaultRefused) as neither:
            api.open(at=(0, 0))
        with pytest.raises(VaultRefused) as both:
            api.open(order_id="a", grant_id="b", at=(0, 0))

        assert (code_of(neither), code_of(both)) == ("VALIDATION_FAILED", "VALIDATION_FAILED")


class TestContents:
    def test_the_bundler_stores_for_its_order_and_a_grant_opens_it(
        self, stage: Stage, api: Vault, collectors: Vault, bundler: Vault
    ) -> None:
        put, request_id, key = sealed(stage, api, collectors, bundler)

        grant_id = stage.log.grant(put.subject_ref, request_id)
        opened = api.open(grant_id=grant_id, at=stage.log.at(put.subject_ref))

        assert list(opened.fields.values()) == [CONTENTS]
        assert {name: held.key for name, held in opened.keys.items()} == {"archive": key}

    def test_a_grant_is_no_order_and_an_order_no_grant(
        self, stage: Stage, api: Vault, collectors: Vault, bundler: Vault
    ) -> None:
        put, request_id, _ = sealed(stage, api, collectors, bundler)
        grant_id = stage.log.grant(put.subject_ref, request_id)

        with pytest.raises(VaultRefused) as refused:
            bundler.open(grant_id=grant_id, at=stage.log.at(put.subject_ref))

        assert code_of(refused) == "NOT_ALLOWED"

    def test_a_grant_whose_time_is_over_opens_nothing(
        self, stage: Stage, api: Vault, collectors: Vault, bundler: Vault
    ) -> None:
        put, request_id, _ = sealed(stage, api, collectors, bundler)
        grant_id = stage.log.grant(put.subject_ref, request_id)
        stage.log.wait(timedelta(hours=1))

        with pytest.raises(VaultRefused) as refused:
            api.open(grant_id=grant_id, at=stage.log.at(put.subject_ref))

        assert code_of(refused) == "ORDER_NOT_PENDING"

    def test_a_grant_ends_with_the_archive(
        self, stage: Stage, api: Vault, collectors: Vault, bundler: Vault
    ) -> None:
        put, request_id, _ = sealed(stage, api, collectors, bundler)
        stage.log.wait(timedelta(days=7) - timedelta(minutes=1))
        grant_id = stage.log.grant(put.subject_ref, request_id)
        stage.log.wait(timedelta(minutes=2))
        stage.log.writer.fire_due(put.subject_ref)
        stage.log.wait(timedelta(0))

        with pytest.raises(VaultRefused) as refused:
            api.open(grant_id=grant_id, at=stage.log.at(put.subject_ref))

        assert code_of(refused) == "ORDER_NOT_PENDING"

    def test_what_is_stored_for_a_request_is_stored_once(
        self, stage: Stage, api: Vault, collectors: Vault, bundler: Vault
    ) -> None:
        put, _ = collected(stage, api, collectors)
        order = stage.log.order(put.subject_ref, SealBundle)
        open_for(bundler, stage.log, order)
        fields = {"contents": Field("content", CONTENTS)}
        to = (order.subject_ref, order.request_id, fields, order.order_id)

        first = bundler.put_for(*to, order_id=order.order_id)
        again = bundler.put_for(*to, order_id=order.order_id)

        assert again == first
        assert first.keys() == {"contents"}

    def test_nothing_is_stored_for_another_request_than_the_order_s(
        self, stage: Stage, api: Vault, collectors: Vault, bundler: Vault
    ) -> None:
        put, _ = collected(stage, api, collectors)
        order = stage.log.order(put.subject_ref, SealBundle)
        open_for(bundler, stage.log, order)

        with pytest.raises(VaultRefused) as refused:
            bundler.put_for(
                order.subject_ref,
                "another request",
                {"contents": Field("content", CONTENTS)},
                "p",
                order_id=order.order_id,
            )

        assert code_of(refused) == "NOT_ALLOWED"

    def test_nothing_is_stored_without_a_pending_order(
        self, stage: Stage, api: Vault, collectors: Vault, bundler: Vault
    ) -> None:
        put, _ = collected(stage, api, collectors)
        order = stage.log.order(put.subject_ref, SealBundle)
        stage.log.carry_out(put.subject_ref, SealBundle)

        with pytest.raises(VaultRefused) as refused:
            bundler.put_for(
                order.subject_ref,
                order.request_id,
                {"contents": Field("content", CONTENTS)},
                order.order_id,
                order_id=order.order_id,
            )

        assert code_of(refused) == "ORDER_NOT_PENDING"


def collected(stage: Stage, api: Vault, collectors: Vault) -> tuple[Put, dict[str, bytes]]:
    """An export whose sources were collected; the put, and the keys that the collectors got."""
    put = api.put(stage.maya, maya_fields(), stage.put_id("1"))
    stage.log.file_export(put)
    keys = {}
    for order in stage.log.orders(put.subject_ref, CollectSections):
        keys[order.source] = open_for(collectors, stage.log, order).keys[order.source].key
    stage.log.carry_out(put.subject_ref, CollectSections)
    return put, keys


def sealed(stage: Stage, api: Vault, collectors: Vault, bundler: Vault) -> tuple[Put, str, bytes]:
    """A finished export with its contents table; the put, the request and the archive's key."""
    put, _ = collected(stage, api, collectors)
    order = stage.log.order(put.subject_ref, SealBundle)
    key = open_for(bundler, stage.log, order).keys["archive"].key
    fields = {"contents": Field("content", CONTENTS)}
    ids = bundler.put_for(
        order.subject_ref, order.request_id, fields, order.order_id, order_id=order.order_id
    )
    stage.log.seal(order, ids["contents"])
    return put, order.request_id, key
