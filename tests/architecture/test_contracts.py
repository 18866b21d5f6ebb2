"""The import contracts are kept, and each of them bites: an offence planted in a copy is seen."""

import itertools
import json
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copy, copytree, ignore_patterns
from typing import Final

import pytest

from tests.architecture.tree import ROOMS, ROOT, project, sources

SETTINGS = project()["tool"]["importlinter"]
CONTRACTS: Final = {contract["id"]: contract for contract in SETTINGS["contracts"]}
# Contract, the module in which the offence is planted, and the offence.
OFFENCES: Final = (
    ("layers", "rights/offence.py", "import plumbing.clock"),
    ("layers", "schemas/offence.py", "import plumbing.clock"),
    ("layers", "proofs/offence.py", "import plumbing.clock"),
    ("layers", "plumbing/offence.py", "import logbook.desk"),
    ("layers", "logbook/offence.py", "import sources.contract"),
    ("layers", "sources/offence.py", "import projections.queries"),
    ("layers", "projections/offence.py", "import services.decider"),
    ("layers", "services/bundler/offence.py", "import auditor.chain"),
    ("layers", "auditor/offence.py", "import devstack.stack"),
    ("services-stand-alone", "services/eraser/offence.py", "import services.bundler.loop"),
    ("pipes-know-no-law", "plumbing/kafka/offence.py", "import rights.events"),
    ("pipes-know-no-law", "proofs/offence.py", "import schemas.codec"),
    ("core-is-pure", "rights/export/offence.py", "import time"),
    ("core-is-pure", "rights/offence.py", "from random import randint"),
    ("core-is-pure", "rights/offence.py", "import orjson"),
    ("proofs-do-no-io", "proofs/offence.py", "import socket"),
    ("auditor-inherits-nothing", "auditor/offence.py", "import projections.folding"),
    ("auditor-inherits-nothing", "auditor/offence.py", "import services.decider.deciding"),
    (
        "views-are-read-through-queries",
        "services/request_api/offence.py",
        "import projections.views.table",
    ),
    ("views-have-few-readers", "services/eraser/offence.py", "import projections.queries"),
    ("pages-have-no-powers", "services/dashboard/offence.py", "import plumbing.vault"),
    ("sources-know-no-kafka", "sources/offence.py", "import plumbing.kafka.records"),
    ("rooms-have-no-cycles", "rights/policies.py", "import rights.commands"),
    ("owner-of-kafka", "services/eraser/offence.py", "import confluent_kafka"),
    ("owner-of-objects", "services/bundler/offence.py", "from boto3 import session"),
    ("owner-of-postgres", "projections/offence.py", "import psycopg"),
    ("owner-of-avro", "logbook/offence.py", "import fastavro"),
    ("owner-of-web", "services/bundler/offence.py", "import starlette.routing"),
    ("owner-of-agents", "services/eraser/offence.py", "import faust"),
    ("owner-of-ciphers", "plumbing/vault/offence.py", "import cryptography.fernet"),
)


Offence = tuple[str, str, str]


def _planted(folder: Path, module: str, offence: str) -> None:
    """Make a tree that is ours but for one line; only the room that is touched is a copy."""
    for room in (room for room in ROOMS if (ROOT / room).exists()):
        if module.startswith(f"{room}/"):
            copytree(ROOT / room, folder / room, ignore=ignore_patterns("__pycache__"))
        else:
            (folder / room).symlink_to(ROOT / room)
    copy(ROOT / "pyproject.toml", folder)
    with (folder / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{offence}\n")


def _linted(jobs: list[tuple[Path, str]]) -> list[tuple[int, str]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.architecture.linting"],
        cwd=ROOT,
        input=json.dumps([(str(folder), contract) for folder, contract in jobs]),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [(status, said) for status, said in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[Offence, tuple[int, str]]:
    """What the linter says about each offence, each in a tree of its own."""
    jobs = [(tmp_path_factory.mktemp("planted"), contract) for contract, _, _ in OFFENCES]
    for (folder, _), (_, module, offence) in zip(jobs, OFFENCES, strict=True):
        _planted(folder, module, offence)
    with ThreadPoolExecutor(2) as pool:
        halves = list(pool.map(_linted, (jobs[::2], jobs[1::2])))
    said = itertools.chain.from_iterable(itertools.zip_longest(*halves))
    return dict(zip(OFFENCES, said, strict=False))


def test_every_contract_is_kept() -> None:
    linter = Path(sysconfig.get_path("scripts")) / "lint-imports"

    done = subprocess.run(
        [sys.executable, linter, "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("offence", OFFENCES, ids=lambda o: f"{o[0]}: {o[1]}: {o[2]}")
def test_an_offence_is_seen(verdicts: dict[Offence, tuple[int, str]], offence: Offence) -> None:
    status, said = verdicts[offence]

    assert "Contracts: 0 kept, 1 broken." in said
    assert status != 0


def test_every_contract_has_an_offence_that_shows_that_it_bites() -> None:
    assert {offence[0] for offence in OFFENCES} == set(CONTRACTS)


def test_every_room_stands_under_the_contracts() -> None:
    rooms = {room for room in ROOMS if (ROOT / room).exists()}

    assert set(SETTINGS["root_packages"]) == rooms
    named = {room.strip() for layer in CONTRACTS["layers"]["layers"] for room in layer.split("|")}
    assert named == rooms


def test_the_core_may_use_no_package_that_any_room_uses() -> None:
    stdlib = sys.stdlib_module_names
    used = {name.partition(".")[0] for source in sources() for name in source.imports()}
    third_party = used - stdlib - set(ROOMS)

    missing = third_party - set(CONTRACTS["core-is-pure"]["forbidden_modules"])
    assert not missing, "add it to the contract core-is-pure in pyproject.toml"


def test_nothing_imports_the_tests() -> None:
    offenders = [s for s in sources() if any(n.split(".")[0] == "tests" for n in s.imports())]

    assert offenders == []
