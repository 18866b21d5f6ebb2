"""The tenants' file: what it says, and that it is refused where it says something odd."""

from __future__ import annotations

from pathlib import Path

import pytest

from plumbing.config import ConfigError, Secret
from plumbing.tenants import Tenant, read_tenants

ENVIRONMENT = {"ACME_DSN": "postgresql://acme:s3cret-canary@db/identity", "HOST": "db", "EMPTY": ""}


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "tenants.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def test_a_file_names_tenants_their_identity_source_and_their_services(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        tenants:
          acme-wellbeing:
            identity: ${ACME_DSN}
            product_services: [journal-app, billing]
          northwind-care:
            identity: postgresql://reader@${HOST}/${HOST}
        """,
    )

    tenants = read_tenants(file, ENVIRONMENT)

    assert tenants == {
        "acme-wellbeing": Tenant(
            name="acme-wellbeing",
            identity=Secret(ENVIRONMENT["ACME_DSN"]),
            product_services=("journal-app", "billing"),
        ),
        "northwind-care": Tenant(
            name="northwind-care", identity=Secret("postgresql://reader@db/db")
        ),
    }


def test_a_tenant_does_not_show_its_connection_string(tmp_path: Path) -> None:
    file = written(tmp_path, "tenants: {acme: {identity: '${ACME_DSN}'}}")

    assert "canary" not in repr(read_tenants(file, ENVIRONMENT))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no tenants"),
        ("tenants:", "names no tenants"),
        ("tenants: {}", "names no tenants"),
        ("tenants: [acme]", "names no tenants"),
        ("- tenants", "names no tenants"),
        ("tenants: {acme: {}}", "acme names no identity source"),
        ("tenants: {acme: }", "acme names no identity source"),
        ("tenants: {acme: {identity: }}", "acme names no identity source"),
        ("tenants: {acme: {identity: [x]}}", "acme names no identity source"),
        ("tenants: {7: {identity: x}}", "whose name is no text"),
        ("tenants: {'': {identity: x}}", "whose name is no text"),
        ("tenants: {acme: {identity: x, colour: blue}}", "unknown keys: colour"),
        ("tenants: {acme: {identity: x, 7: 8}}", "unknown keys: 7"),
        ("tenants: {acme: {identity: '${NOWHERE}'}}", "NOWHERE is required by tenant acme"),
        ("tenants: {acme: {identity: '${EMPTY}'}}", "EMPTY is required by tenant acme"),
        ("tenants: {acme: {identity: x, product_services: journal-app}}", "not a list of service"),
        ("tenants: {acme: {identity: x, product_services: [7]}}", "not a list of service"),
        ("tenants: {acme: {identity: x, product_services: [A b]}}", "not a list of service"),
        ("tenants: {acme: {identity: x, product_services: ['']}}", "not a list of service"),
        ("tenants: {acme: {identity: 's3cret-canary", "cannot be read as YAML"),
        (b"\xff\xfe\x00", "cannot be read as YAML"),
    ],
)
def test_what_is_odd_is_refused_with_a_sentence_and_without_a_secret(
    tmp_path: Path, text: str | bytes, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        read_tenants(written(tmp_path, text), ENVIRONMENT)

    assert "canary" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tenants\.yaml cannot be read"):
        read_tenants(tmp_path / "tenants.yaml", {})


def test_no_code_hides_in_the_file(tmp_path: Path) -> None:
    text = "tenants: !!python/object/apply:os.system ['true']"

    with pytest.raises(ConfigError, match="cannot be read as YAML"):
        read_tenants(written(tmp_path, text), {})
