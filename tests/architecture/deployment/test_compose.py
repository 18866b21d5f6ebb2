"""docker-compose.yml, held against the code: what it starts exists, and is told what it asks for."""

import dataclasses
import importlib.util
import re
import secrets
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pytest
import yaml

from devstack.containers.drawing import draw
from devstack.containers.settings import IssuerSettings, PrepareSettings
from devstack.kafka import cluster_settings
from devstack.services import SOURCES, rows
from plumbing.config import load, settings_of
from plumbing.tenants import read_tenants
from services.keyring.tokens import SERVICES, parse
from sources.registry import load as load_sources
from tests.architecture.tree import ROOT

DRAWN: Final = MappingProxyType(dict(draw(secrets.token_hex)))
_PLACE: Final = re.compile(r"\$\$|\$\{([A-Z0-9_]+):\?\}")
_DSN: Final = re.compile(r"[A-Z_]+_DSN")
OF_TASK: Final = {"prepare": PrepareSettings, "issuer": IssuerSettings}
# Where the Dockerfile puts the declarations of the demo's sources.
DECLARATIONS: Final = ROOT / "devstack" / "products"


def _filled(text: str) -> str:
    """As compose puts secrets in: every variable is required, and $$ is a dollar."""
    return _PLACE.sub(lambda m: DRAWN[m[1]] if m[1] else "$", text)


@cache
def _compose() -> Mapping[str, Any]:
    read: Mapping[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return read


def _ours() -> dict[str, dict[str, Any]]:
    """The containers that run our image."""
    services: dict[str, dict[str, Any]] = _compose()["services"]
    return {name: s for name, s in services.items() if s["image"] == "habeas"}


OURS: Final = pytest.mark.parametrize("name", sorted(_ours()))


def _module(name: str) -> str:
    python, flag, module, *_ = _ours()[name]["command"]
    assert (python, flag) == ("python", "-m")
    return str(module)


def _settings(name: str) -> tuple[type[Any], ...]:
    """The settings classes that the container's process loads."""
    module = _module(name)
    if module == "devstack.containers":
        return (OF_TASK[_ours()[name]["command"][3]],)
    found = vars(import_module(f"{module}.config")).values()
    return tuple(
        cls for cls in found if isinstance(cls, type) and hasattr(cls, "__settings_prefix__")
    )


def _environment(name: str) -> dict[str, str]:
    return {k: _filled(v) for k, v in _ours()[name].get("environment", {}).items()}


@OURS
def test_every_command_is_a_process_of_ours(name: str) -> None:
    assert importlib.util.find_spec(f"{_module(name)}.__main__")


@OURS
def test_every_variable_is_one_that_the_process_reads(name: str) -> None:
    read = {variable for cls in _settings(name) for variable in settings_of(cls)}
    strangers = set(_environment(name)) - read

    # Data sources are named by the declarations and by the tenants' file: see below.
    assert {variable for variable in strangers if not _DSN.fullmatch(variable)} == set()


@OURS
def test_every_required_setting_is_given(name: str) -> None:
    given = _environment(name)
    required = {
        variable
        for cls in _settings(name)
        for field, variable in zip(dataclasses.fields(cls), settings_of(cls), strict=True)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }

    assert required <= set(given)


@OURS
def test_every_process_would_start_with_what_it_is_told(name: str) -> None:
    loaded = [load(cls, environ=_environment(name)) for cls in _settings(name)]

    assert loaded


def test_the_same_services_run_here_as_in_the_embedded_stack() -> None:
    here = {_module(name) for name in _ours()} - {"devstack.containers"}

    assert here == {row.module for row in rows()}


def test_each_source_has_a_collectors_process_of_its_own() -> None:
    hosted = [
        _environment(name)["COLLECTORS_SOURCES"]
        for name in _ours()
        if _module(name) == "services.collectors"
    ]

    assert sorted(hosted) == sorted(SOURCES)


def test_all_services_speak_of_the_same_log() -> None:
    everything = [pair for name in _ours() for pair in _environment(name).items()]

    for ending in ("_KAFKA", "_LOG_ID", "_PARTITIONS", "_ISSUER", "_KEYRING_URL", "_S3_BUCKET"):
        assert len({value for variable, value in everything if variable.endswith(ending)}) == 1


def test_the_keyring_knows_every_caller_by_its_token() -> None:
    tokens = parse(_environment("keyring")["KEYRING_TOKENS"])
    presented = {
        variable.removesuffix("_KEYRING_TOKEN").lower(): value
        for name in _ours()
        for variable, value in _environment(name).items()
        if variable.endswith("_KEYRING_TOKEN")
    }

    assert tokens == presented
    assert set(tokens) == SERVICES


@pytest.mark.parametrize("name", ["collectors-journal", "collectors-billing", "eraser"])
def test_every_source_finds_its_database(name: str) -> None:
    environment = _environment(name)
    (declared,) = (v for k, v in environment.items() if k.endswith("_DECLARATIONS"))
    place = DECLARATIONS / Path(declared).name if declared.endswith(".yaml") else DECLARATIONS

    sources = load_sources([place], environment)

    wanted = next(v for k, v in environment.items() if k.endswith("_SOURCES")).split(",")
    assert set(wanted) <= set(sources)


def test_the_tenants_file_resolves_for_whoever_reads_it(tmp_path: Path) -> None:
    readers = [name for name in _ours() if "tenants" in _configs(name)]
    file = tmp_path / "tenants.yaml"
    file.write_text(_filled(_compose()["configs"]["tenants"]["content"]), encoding="utf-8")

    assert readers
    for name in readers:
        assert set(read_tenants(file, _environment(name))) == {"acme-wellbeing", "northwind-care"}


def _configs(name: str) -> set[str]:
    return {config["source"] for config in _ours()[name].get("configs", ())}


def _volumes(name: str) -> set[str]:
    return {str(volume).partition(":")[0] for volume in _ours()[name].get("volumes", ())}


def test_nobody_but_the_keyring_sees_the_key_encryption_key() -> None:
    # `prepare` makes it and ends.
    assert {name for name in _ours() if "keyring" in _volumes(name)} == {"keyring", "prepare"}


def test_every_published_port_is_bound_to_this_machine() -> None:
    published = [str(port) for s in _compose()["services"].values() for port in s.get("ports", ())]

    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_every_secret_that_is_asked_for_is_drawn_and_none_is_written_down() -> None:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    asked = set(re.findall(r"\$\{([A-Z0-9_]+):\?\}", text))

    assert asked == set(DRAWN)
    for _, value in _secret_settings(_compose()["services"]):
        assert _PLACE.search(value), "a secret comes from .env"


def _secret_settings(services: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for service in services.values():
        for variable, value in service.get("environment", {}).items():
            if re.search(
                r"TOKEN|SECRET|PASSWORD|COMMAND_KEY|SESSION_KEY|_DSN$|POSTGRES$", variable
            ):
                yield variable, str(value)


def test_the_broker_is_set_up_as_the_embedded_one() -> None:
    environment = _compose()["services"]["kafka"]["environment"]

    for name, value in cluster_settings(1).items():
        assert environment["KAFKA_" + name.upper().replace(".", "_")] == str(value)


def test_every_volume_is_declared_and_used() -> None:
    services = _compose()["services"].values()
    used = {str(v).partition(":")[0] for s in services for v in s.get("volumes", ())}

    assert used == set(_compose()["volumes"])


def test_the_image_holds_every_room_that_a_service_imports() -> None:
    copied = re.findall(r"^COPY (\w+) \1$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    wanted = set((ROOT / ".dockerignore").read_text("utf-8").split())

    assert {"services", "projections", "devstack"} <= set(copied)
    assert {f"!{room}" for room in copied} <= wanted
