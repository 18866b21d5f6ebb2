"""Every service as a row of the launcher's table, with what it must be told.

A service is told only what its own settings class names: the same values serve all, and a setting
that nobody reads is never set.
"""

import json
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from devstack.launcher import Process
from devstack.launcher.process import READY_EVENT
from devstack.products.loading import HERE, environment, identity_database, tenants
from devstack.stack import Endpoints
from plumbing.config import settings_of
from projections.config import ProjectionsConfig
from services.bundler.config import BundlerConfig
from services.bundler.config import StoreConfig as BundlerStoreConfig
from services.collectors.config import CollectorsConfig
from services.dashboard.config import DashboardConfig
from services.decider.config import DeciderConfig
from services.eraser.config import EraserConfig
from services.keyring.config import KeyringConfig
from services.notifier.config import NotifierConfig
from services.request_api.config import RequestApiConfig, StoreConfig
from services.scheduler.config import SchedulerConfig

SOURCES: Final = ("billing", "journal")
PRODUCT_SERVICE: Final = "journal-app"
PARTITIONS: Final = 3
# Services that may call the keyring.
_CALLERS: Final = ("request_api", "collectors", "bundler", "eraser", "notifier")
_SECRETS: Final = "secrets.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What an installation draws once and keeps: its log's name, keys and tokens."""

    log_id: str
    command_key: str
    tokens: Mapping[str, str]

    @classmethod
    def of(cls, state: Path) -> "Secrets":
        """Read them, or draw them at the first start."""
        path = state / _SECRETS
        if not path.exists():
            drawn = {
                "log_id": secrets.token_hex(16),
                "command_key": secrets.token_hex(32),
                "tokens": {caller: secrets.token_hex(32) for caller in _CALLERS},
            }
            path.touch(mode=0o600)
            path.write_text(json.dumps(drawn), encoding="utf-8")
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One process: its name in the table, its module, and the settings classes it loads."""

    name: str
    module: str
    configs: tuple[tuple[str, type[Any]], ...]
    needs: tuple[str, ...] = ()
    own: Mapping[str, str] | None = None


def rows() -> tuple[Row, ...]:
    collectors = tuple(
        Row(
            name=f"collectors-{source}",
            module="services.collectors",
            configs=(("COLLECTORS", CollectorsConfig),),
            needs=("keyring",),
            own={"sources": source, "instance": f"collectors-{source}"},
        )
        for source in SOURCES
    )
    return (
        Row(name="decider", module="services.decider", configs=(("DECIDER", DeciderConfig),)),
        Row(
            name="keyring",
            module="services.keyring",
            configs=(("KEYRING", KeyringConfig),),
            needs=("decider",),
        ),
        Row(
            name="projections",
            module="projections",
            configs=(("PROJECTIONS", ProjectionsConfig),),
            needs=("decider",),
        ),
        *collectors,
        Row(
            name="bundler",
            module="services.bundler",
            configs=(("BUNDLER", BundlerConfig), ("BUNDLER_S3", BundlerStoreConfig)),
            needs=("keyring",),
        ),
        Row(
            name="eraser",
            module="services.eraser",
            configs=(("ERASER", EraserConfig),),
            needs=("keyring",),
        ),
        Row(
            name="scheduler",
            module="services.scheduler",
            configs=(("SCHEDULER", SchedulerConfig),),
            needs=("decider",),
        ),
        Row(
            name="notifier",
            module="services.notifier",
            configs=(("NOTIFIER", NotifierConfig),),
            needs=("keyring",),
        ),
        Row(
            name="request_api",
            module="services.request_api",
            configs=(("REQUEST_API", RequestApiConfig), ("REQUEST_API_S3", StoreConfig)),
            needs=("keyring", "projections"),
        ),
        Row(
            name="dashboard",
            module="services.dashboard",
            configs=(("DASHBOARD", DashboardConfig),),
            needs=("request_api",),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where an installation's own files and ports are."""

    state: Path
    api_port: int
    keyring_port: int
    dashboard_port: int

    @property
    def tenants(self) -> Path:
        return self.state / "tenants.yaml"

    @property
    def kek(self) -> Path:
        return self.state / "keys" / "kek"

    @property
    def identity(self) -> Path:
        return self.state / "keys" / "identity.age"

    @property
    def signing_key(self) -> Path:
        return self.state / "keys" / "signing"

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def keyring_url(self) -> str:
        return f"http://127.0.0.1:{self.keyring_port}"

    @property
    def dashboard_url(self) -> str:
        return f"http://127.0.0.1:{self.dashboard_port}"


def processes(endpoints: Endpoints, places: Places, drawn: Secrets) -> tuple[Process, ...]:
    """The rows of all services, on top of a stack that runs."""
    everything = _values(endpoints, places, drawn)
    products = environment(endpoints.postgres_dsn) | _identity_dsns(endpoints)
    return tuple(_process(row, everything, products, drawn, places) for row in rows())


def _process(
    row: Row,
    everything: Mapping[str, str],
    products: Mapping[str, str],
    drawn: Secrets,
    places: Places,
) -> Process:
    service = row.module.rpartition(".")[2]
    values = {
        **everything,
        **_PER_SERVICE.get(service, dict)(everything),
        "keyring_token": drawn.tokens.get(service, ""),
        **(row.own or {}),
    }
    env: dict[str, str] = dict(products)
    for prefix, config in row.configs:
        known = settings_of(config)
        told = {f"{prefix}_{name}".upper(): value for name, value in values.items()}
        env |= {variable: value for variable, value in told.items() if variable in known}
    ports = {
        "request_api": (places.api_port,),
        "keyring": (places.keyring_port,),
        "dashboard": (places.dashboard_port,),
    }
    return Process(
        name=row.name,
        argv=(sys.executable, "-m", row.module),
        env=env,
        needs=row.needs,
        ready_mark=READY_EVENT,
        ports=ports.get(service, ()),
        folder=Path(__file__).resolve().parents[1],
    )


def _values(endpoints: Endpoints, places: Places, drawn: Secrets) -> dict[str, str]:
    state = places.state
    return {
        "kafka": endpoints.kafka_bootstrap,
        "log_id": drawn.log_id,
        "partitions": str(PARTITIONS),
        "sources": ",".join(SOURCES),
        "declarations": str(HERE),
        "tenants": str(places.tenants),
        "command_key": drawn.command_key,
        "tokens": ",".join(f"{name}:{token}" for name, token in drawn.tokens.items()),
        "keyring_url": places.keyring_url,
        "kek": str(places.kek),
        "identity": str(places.identity),
        "signing_key": str(places.signing_key),
        "lease_s": "2",
        "postgres": endpoints.postgres_dsn("views"),
        "keyring_postgres": endpoints.postgres_dsn("keyring"),
        "issuer": endpoints.issuer_url,
        "url": endpoints.s3_url,
        "bucket": endpoints.s3_bucket,
        "key": endpoints.s3_key,
        "secret": endpoints.s3_secret,
        "smtp_host": endpoints.smtp_host,
        "smtp_port": str(endpoints.smtp_port),
        "smtp_encryption": "none",
        "pages_url": places.dashboard_url,
        "request_api": places.api_url,
        # Sessions live in memory, so nothing is lost by a new key at each start.
        "session_key": secrets.token_hex(32),
        "spool": str(state / "spool"),
        "snapshots": str(state / "snapshots"),
        "port": str(places.api_port),
        "keyring_port": str(places.keyring_port),
        "dashboard_port": str(places.dashboard_port),
    }


# Where two services mean different things by one name.
_PER_SERVICE: Final[Mapping[str, Any]] = {
    "keyring": lambda values: {
        "postgres": values["keyring_postgres"],
        "port": values["keyring_port"],
    },
    "dashboard": lambda values: {"port": values["dashboard_port"]},
}


def _identity_dsns(endpoints: Endpoints) -> dict[str, str]:
    return {
        identity_variable(tenant): endpoints.postgres_dsn(identity_database(tenant))
        for tenant in tenants()
    }


def identity_variable(tenant: str) -> str:
    return f"{identity_database(tenant).upper()}_DSN"
