"""Which tenants there are: a YAML file that every process which serves them reads at its start.

It holds addresses and names, no policy (that is decided into the log) and no person.

    tenants:
      acme-wellbeing:
        identity: ${ACME_IDENTITY_DSN}
        product_services: [journal-app]
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from plumbing.config import ConfigError, Secret

_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")
# A service's name is part of its topics' names.
_SERVICE = re.compile(r"[a-z][a-z0-9-]{0,62}")
_KNOWN = frozenset({"identity", "product_services"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """`identity` is the connection string of the tenant's own identity source."""

    name: str
    identity: Secret
    product_services: tuple[str, ...] = ()


def read_tenants(path: Path, environment: Mapping[str, str]) -> dict[str, Tenant]:
    """The tenants of the file, by name.

    Raises:
        ConfigError: the file is missing or wrong, or a variable in it is not set.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError):
        # Not chained: what YAML quotes of the file may hold a password.
        raise ConfigError(f"{path.name} cannot be read as YAML") from None
    tenants = document.get("tenants") if isinstance(document, dict) else None
    if not isinstance(tenants, dict) or not tenants:
        raise ConfigError(f"{path.name} names no tenants")
    return {_name(name, path): _tenant(name, entry, environment) for name, entry in tenants.items()}


def _name(name: object, path: Path) -> str:
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{path.name} has a tenant whose name is no text")
    return name


def _tenant(name: str, entry: object, environment: Mapping[str, str]) -> Tenant:
    if not isinstance(entry, dict) or not isinstance(entry.get("identity"), str):
        raise ConfigError(f"tenant {name} names no identity source")
    if unknown := {str(key) for key in entry.keys() - _KNOWN}:
        raise ConfigError(f"tenant {name} has unknown keys: {', '.join(sorted(unknown))}")
    services = entry.get("product_services", [])
    if not isinstance(services, list) or not all(_is_service(service) for service in services):
        raise ConfigError(f"tenant {name}: product_services is not a list of service names")

    def resolved(match: re.Match[str]) -> str:
        value = environment.get(match[1])
        if not value:
            raise ConfigError(f"{match[1]} is required by tenant {name} and not set")
        return value

    return Tenant(
        name=name,
        identity=Secret(_VARIABLE.sub(resolved, entry["identity"])),
        product_services=tuple(services),
    )


def _is_service(name: object) -> bool:
    return isinstance(name, str) and _SERVICE.fullmatch(name) is not None
