"""The vault: readable things about people, kept where they can be deleted, behind the keyring.

    protocol   what a vault promises
    permits    what an order or a grant lets its worker have opened, and who may call what
    http       the keyring's vault, over HTTP
    memory     a vault inside one process

Nothing here knows what an order means: the keyring says which permit each one is worth.
"""

from plumbing.vault.http import HttpVault
from plumbing.vault.memory import MemoryKeyring
from plumbing.vault.permits import MAY_CALL, Permit
from plumbing.vault.protocol import (
    At,
    Field,
    Identity,
    Opened,
    Purpose,
    Put,
    RequestKey,
    Vault,
    VaultRefused,
    VaultUnavailable,
)

__all__ = [
    "MAY_CALL",
    "At",
    "Field",
    "HttpVault",
    "Identity",
    "MemoryKeyring",
    "Opened",
    "Permit",
    "Purpose",
    "Put",
    "RequestKey",
    "Vault",
    "VaultRefused",
    "VaultUnavailable",
]
