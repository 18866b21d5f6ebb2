"""What a vault keeps, finds and unseals; memory and real alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pyrage
import pytest

from plumbing.vault import Field, Identity, Vault, VaultRefused
from tests.contracts.vault.conftest import Stage
from tests.services.keyring.world import (
    CONTENTS,
    MAYA_COMMS,
    OTHER_TENANT,
    REASON,
    TENANT,
    maya_fields,
)


def code_of(refused: pytest.ExceptionInfo[VaultRefused]) -> str:
    return refused.value.code


class TestPutting:
    def test_a_person_gets_a_subject_ref_of_sixteen_bytes_and_each_field_an_id(
        self, stage: Stage, api: Vault
    ) -> None:
        put = api.put(stage.maya, maya_fields(), stage.put_id("1"))

        assert len(bytes.fromhex(put.subject_ref)) == 16
        assert put.vault_ids.keys() == {"handles", "comms"}
        assert len(set(put.vault_ids.values())) == 2

    def test_a_person_keeps_the_subject_ref_over_many_puts(self, stage: Stage, api: Vault) -> None:
        first = api.put(stage.maya, maya_fields(), stage.put_id("1"))
        second = api.put(stage.maya, maya_fields(), stage.put_id("2"))

        assert second.subject_ref == first.subject_ref
        assert not set(second.vault_ids.values()) & set(first.vault_ids.values())

    def test_the_same_put_again_gets_the_first_answer_whatever_the_values_are_by_now(
        self, stage: Stage, api: Vault
    ) -> None:
        first = api.put(stage.maya, maya_fields(), stage.put_id("1"))
        moved = {**MAYA_COMMS, "email": "maya@example.com"}

        again = api.put(
            stage.maya, {**maya_fields(), "comms": Field("comms", moved)}, stage.put_id("1")
        )

        assert again == first

    def test_puts_at_the_same_time_mint_one_person(self, stage: Stage, api: Vault) -> None:
        with ThreadPoolExecutor(8) as threads:
            puts = list(
                threads.map(
                    lambda n: api.put(stage.maya, maya_fields(), stage.put_id(str(n))), range(16)
                )
            )

        assert len({put.subject_ref for put in puts}) == 1
        assert len({put.vault_ids["handles"] for put in puts}) == 16

    def test_the_same_put_at_the_same_time_is_stored_once(self, stage: Stage, api: Vault) -> None:
        with ThreadPoolExecutor(8) as threads:
            puts = list(
                threads.map(
                    lambda _: api.put(stage.maya, maya_fields(), stage.put_id("1")), range(16)
                )
            )

        assert all(put == puts[0] for put in puts)

    def test_a_put_id_cannot_stand_for_another_person(self, stage: Stage, api: Vault) -> None:
        api.put(stage.maya, maya_fields(), stage.put_id("1"))

        with pytest.raises(VaultRefused) as refused:
            api.put(stage.person(TENANT, "noa"), maya_fields(), stage.put_id("1"))

        assert code_of(refused) == "PUT_MISMATCH"
        assert api.find(TENANT, stage.person(TENANT, "noa").stable_id) is None

    def test_a_put_id_cannot_stand_for_other_fields(self, stage: Stage, api: Vault) -> None:
        api.put(stage.maya, maya_fields(), stage.put_id("1"))

        with pytest.raises(VaultRefused) as refused:
            api.put(stage.maya, {"reason": Field("audit", REASON)}, stage.put_id("1"))

        assert code_of(refused) == "PUT_MISMATCH"

    def test_people_of_two_tenants_with_one_id_are_two_people(
        self, stage: Stage, api: Vault
    ) -> None:
        here = api.put(stage.maya, maya_fields(), stage.put_id("1"))
        there = api.put(
            Identity(OTHER_TENANT, stage.maya.stable_id), maya_fields(), stage.put_id("2")
        )

        assert here.subject_ref != there.subject_ref

    def test_without_fields_a_put_only_mints(self, stage: Stage, api: Vault) -> None:
        put = api.put(stage.maya, {}, stage.put_id("1"))

        assert put.vault_ids == {}
        assert api.find(TENANT, stage.maya.stable_id) == put.subject_ref

    @pytest.mark.parametrize("purpose", ["content", "retained", ""])
    def test_a_put_cannot_fill_purposes_that_are_not_its_own(
        self, stage: Stage, api: Vault, purpose: str
    ) -> None:
        with pytest.raises(VaultRefused) as refused:
            api.put(
                stage.maya, {"contents": Field(purpose or "other", CONTENTS)}, stage.put_id("1")
            )

        assert code_of(refused) == "NOT_ALLOWED"

    def test_nothing_is_minted_for_a_put_that_is_refused(self, stage: Stage, api: Vault) -> None:
        with pytest.raises(VaultRefused):
            api.put(stage.maya, {"contents": Field("content", CONTENTS)}, stage.put_id("1"))

        assert api.find(TENANT, stage.maya.stable_id) is None


class TestFinding:
    def test_who_was_never_put_is_not_found_and_not_minted(self, stage: Stage, api: Vault) -> None:
        assert api.find(TENANT, stage.maya.stable_id) is None
        assert api.find(TENANT, stage.maya.stable_id) is None
        assert api.find(TENANT, email=stage.maya.email) is None

    def test_a_person_is_found_by_id_and_by_email_in_their_tenant_only(
        self, stage: Stage, api: Vault
    ) -> None:
        ref = api.put(stage.maya, maya_fields(), stage.put_id("1")).subject_ref

        assert api.find(TENANT, stage.maya.stable_id) == ref
        assert api.find(TENANT, email=stage.maya.email) == ref
        assert api.find(OTHER_TENANT, stage.maya.stable_id) is None
        assert api.find(OTHER_TENANT, email=stage.maya.email) is None

    def test_a_new_address_replaces_the_one_known(self, stage: Stage, api: Vault) -> None:
        ref = api.put(stage.maya, maya_fields(), stage.put_id("1")).subject_ref
        api.put(
            Identity(TENANT, stage.maya.stable_id, f"new.{stage.maya.email}"), {}, stage.put_id("2")
        )
        api.put(Identity(TENANT, stage.maya.stable_id), {}, stage.put_id("3"))

        assert api.find(TENANT, email=f"new.{stage.maya.email}") == ref
        assert api.find(TENANT, email=stage.maya.email) is None

    def test_an_address_of_two_people_finds_neither(self, stage: Stage, api: Vault) -> None:
        api.put(stage.maya, {}, stage.put_id("1"))
        api.put(
            Identity(TENANT, stage.person(TENANT, "noa").stable_id, stage.maya.email),
            {},
            stage.put_id("2"),
        )

        with pytest.raises(VaultRefused) as refused:
            api.find(TENANT, email=stage.maya.email)

        assert code_of(refused) == "AMBIGUOUS"

    @pytest.mark.parametrize("by", [{}, {"stable_id": "a", "email": "a@example.org"}])
    def test_people_are_looked_up_by_one_thing(self, api: Vault, by: dict[str, str]) -> None:
        with pytest.raises(VaultRefused) as refused:
            api.find(TENANT, **by)

        assert code_of(refused) == "VALIDATION_FAILED"


class TestWhoMayCall:
    @pytest.mark.parametrize("service", ["collectors", "bundler", "notifier", "eraser"])
    def test_only_the_way_in_may_put_look_up_and_unseal(self, stage: Stage, service: str) -> None:
        vault = stage.client(service)
        codes = []
        for call in (
            lambda: vault.put(stage.maya, maya_fields(), stage.put_id("1")),
            lambda: vault.find(TENANT, stage.maya.stable_id),
            lambda: vault.unseal(b"sealed"),
        ):
            with pytest.raises(VaultRefused) as refused:
                call()
            codes.append(code_of(refused))

        assert codes == ["NOT_ALLOWED"] * 3

    def test_only_the_bundler_may_store_for_a_request(self, api: Vault) -> None:
        with pytest.raises(VaultRefused) as refused:
            api.put_for("0" * 32, "r", {"contents": Field("content", {})}, "p", order_id="o")

        assert code_of(refused) == "NOT_ALLOWED"


class TestSealedHandles:
    def test_what_a_product_service_sealed_is_opened(self, api: Vault) -> None:
        recipient = pyrage.x25519.Recipient.from_str(api.public_key())
        sealed = pyrage.encrypt(b'{"stable_id": "account-4711"}', [recipient])

        assert api.unseal(sealed) == {"stable_id": "account-4711"}

    @pytest.mark.parametrize("content", [b"[]", b"no json", b"\xff", b"{"])
    def test_what_is_no_object_is_unreadable(self, api: Vault, content: bytes) -> None:
        recipient = pyrage.x25519.Recipient.from_str(api.public_key())

        with pytest.raises(VaultRefused) as refused:
            api.unseal(pyrage.encrypt(content, [recipient]))

        assert code_of(refused) == "UNREADABLE"

    def test_what_was_sealed_to_somebody_else_is_unreadable(self, api: Vault) -> None:
        stranger = pyrage.x25519.Identity.generate().to_public()

        with pytest.raises(VaultRefused) as refused:
            api.unseal(pyrage.encrypt(b"{}", [stranger]))

        assert code_of(refused) == "UNREADABLE"

    @pytest.mark.parametrize("sealed", [b"", b"not age at all", b"age-encryption.org/v1\n"])
    def test_what_is_not_sealed_at_all_is_unreadable(
        self, stage: Stage, api: Vault, sealed: bytes
    ) -> None:
        with pytest.raises(VaultRefused) as refused:
            api.unseal(sealed)

        assert code_of(refused) == "UNREADABLE"
