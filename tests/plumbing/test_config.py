"""Settings: a process starts as configured or says which variable is wrong, never with what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from plumbing.config import ConfigError, Secret, describe, load, settings, settings_of
from plumbing.failpoints import FailpointError, disarm, fp


@settings("DEMO")
@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    dsn: Secret
    name: str = "demo"
    batch_count: int = 200
    ratio: float = 0.5
    verbose: bool = False
    folder: Path = Path("/var/lib/habeas")
    lease_seconds: timedelta = timedelta(seconds=60)
    tenants: tuple[str, ...] = ()
    security: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None

    def __post_init__(self) -> None:
        if self.batch_count < 1:
            raise ValueError("a batch holds at least one")


@settings("DEMO_CLIENT")
@dataclass(frozen=True, slots=True, kw_only=True)
class DemoClient:
    url: str = ""


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    disarm()


def test_defaults_hold_where_nothing_is_said() -> None:
    assert load(Demo, environ={"DEMO_DSN": "postgresql://"}) == Demo(dsn=Secret("postgresql://"))


def test_every_kind_of_setting_is_read() -> None:
    given = {
        "DEMO_DSN": "postgresql://habeas:hunter2@db/habeas",
        "DEMO_NAME": "other",
        "DEMO_BATCH_COUNT": "7",
        "DEMO_RATIO": "0.25",
        "DEMO_VERBOSE": "Yes",
        "DEMO_FOLDER": "/srv",
        "DEMO_LEASE_SECONDS": "1.5",
        "DEMO_TENANTS": "acme, globex,",
        "DEMO_SECURITY": "security.protocol=SASL_SSL,sasl.password=a=b",
        "DEMO_PORT": "8080",
        "PATH": "/usr/bin",
    }

    assert load(Demo, environ=given) == Demo(
        dsn=Secret("postgresql://habeas:hunter2@db/habeas"),
        name="other",
        batch_count=7,
        ratio=0.25,
        verbose=True,
        folder=Path("/srv"),
        lease_seconds=timedelta(seconds=1.5),
        tenants=("acme", "globex"),
        security={"security.protocol": "SASL_SSL", "sasl.password": "a=b"},
        port=8080,
    )


@pytest.mark.parametrize("environ", [{}, {"DEMO_DSN": ""}])
def test_a_missing_setting_is_named(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="DEMO_DSN is required"):
        load(Demo, environ=environ)


def test_an_unknown_variable_is_refused_because_it_is_a_spelling_mistake() -> None:
    with pytest.raises(ConfigError, match="no such setting: DEMO_BATCHCOUNT"):
        load(Demo, environ={"DEMO_DSN": "x", "DEMO_BATCHCOUNT": "7"})


def test_variables_of_a_longer_prefix_are_the_other_ones() -> None:
    environ = {"DEMO_DSN": "x", "DEMO_CLIENT_URL": "http://127.0.0.1"}

    load(Demo, environ=environ)
    assert load(DemoClient, environ=environ).url == "http://127.0.0.1"
    with pytest.raises(ConfigError, match="DEMO_CLIENT_ULR"):
        load(DemoClient, environ={"DEMO_CLIENT_ULR": "x"})


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("DEMO_BATCH_COUNT", "hunter2"),
        ("DEMO_RATIO", "nan"),
        ("DEMO_VERBOSE", "maybe"),
        ("DEMO_LEASE_SECONDS", "inf"),
        ("DEMO_SECURITY", "hunter2"),
        ("DEMO_PORT", "http"),
    ],
)
def test_an_unreadable_value_is_named_and_not_repeated(variable: str, text: str) -> None:
    with pytest.raises(ConfigError, match=variable) as refused:
        load(Demo, environ={"DEMO_DSN": "x", variable: text})
    assert text not in str(refused.value).replace(variable, "")


def test_settings_may_check_each_other() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        load(Demo, environ={"DEMO_DSN": "x", "DEMO_BATCH_COUNT": "0"})


def test_a_secret_is_shown_nowhere() -> None:
    secret = Secret("hunter2")
    demo = Demo(dsn=secret, security={"sasl.password": "hunter2"})

    for shown in (repr(secret), str(secret), f"{secret}", str(describe(demo))):
        assert "hunter2" not in shown
    assert "hunter2" not in repr(Demo(dsn=secret))
    assert secret.reveal() == "hunter2"


def test_a_description_says_what_a_process_started_with() -> None:
    described = describe(Demo(dsn=Secret("x"), tenants=("acme", "globex")))

    assert described["dsn"] == "***"
    assert described["batch_count"] == "200"
    assert described["lease_seconds"] == "60 s"
    assert described["tenants"] == "acme, globex"


def test_the_variables_of_a_process_can_be_listed() -> None:
    assert settings_of(Demo)[:3] == ("DEMO_DSN", "DEMO_NAME", "DEMO_BATCH_COUNT")


def test_secrets_compare_by_value() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != "a"
    assert not Secret("")


def test_failpoints_are_armed_from_the_environment() -> None:
    load(DemoClient, environ={"HABEAS_FP": "intake.read:1:err"})

    with pytest.raises(FailpointError):
        fp("intake.read")


def test_a_misspelt_failpoint_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="HABEAS_FP"):
        load(DemoClient, environ={"HABEAS_FP": "intake.raed:1:err"})


def test_a_class_that_is_no_settings_class_is_a_bug() -> None:
    with pytest.raises(TypeError):
        load(Path, environ={})
