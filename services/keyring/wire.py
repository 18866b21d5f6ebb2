"""What callers of the keyring send and get, as JSON; `plumbing.vault.http` is the other side."""

from typing import Annotated, Any

from pydantic import Base64Bytes, BaseModel, Field

from plumbing.vault import Field as VaultField
from plumbing.vault import Opened
from plumbing.web import Wire

Name = Annotated[str, Field(min_length=1, max_length=200)]
StableId = Annotated[str, Field(min_length=1, max_length=500)]
Email = Annotated[str, Field(min_length=1, max_length=320)]
Ref = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
# Request and order ids are made by us and by callers' idempotency keys: any short text.
Id = Annotated[str, Field(min_length=1, max_length=200)]


class FieldBody(Wire):
    purpose: Name
    value: dict[str, Any]


Fields = Annotated[dict[Name, FieldBody], Field(max_length=16)]


class PutBody(Wire):
    tenant: Name
    stable_id: StableId
    email: Email | None = None
    fields: Fields
    put_id: Id


class PutForBody(Wire):
    subject_ref: Ref
    request_id: Id
    fields: Fields
    put_id: Id
    order_id: Id


class FindBody(Wire):
    tenant: Name
    stable_id: StableId | None = None
    email: Email | None = None


class UnsealBody(Wire):
    sealed: Base64Bytes


class OpenBody(Wire):
    order_id: Id | None = None
    grant_id: Id | None = None
    partition: int = Field(ge=0)
    seq: int = Field(ge=0)


class PutAnswer(BaseModel):
    subject_ref: str
    vault_ids: dict[str, str]


class PutForAnswer(BaseModel):
    vault_ids: dict[str, str]


class FindAnswer(BaseModel):
    subject_ref: str | None


class UnsealAnswer(BaseModel):
    value: dict[str, Any]


class KeyAnswer(BaseModel):
    key_id: str
    key: str


class OpenAnswer(BaseModel):
    fields: dict[str, dict[str, Any]]
    keys: dict[str, KeyAnswer]
    lease_s: float


class PublicKeyAnswer(BaseModel):
    public_key: str


def vault_fields(fields: dict[str, FieldBody]) -> dict[str, VaultField]:
    return {name: VaultField(body.purpose, body.value) for name, body in fields.items()}


def open_answer(opened: Opened) -> OpenAnswer:
    return OpenAnswer(
        fields={vault_id: dict(value) for vault_id, value in opened.fields.items()},
        keys={
            name: KeyAnswer(key_id=held.key_id.hex(), key=held.key.hex())
            for name, held in opened.keys.items()
        },
        lease_s=opened.lease.total_seconds(),
    )
