"""What a person gets: an archive that stock tools open and verify, and that is always the same."""

import base64
import json
import shutil
import subprocess
import zipfile
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest

from proofs import sshsig
from rights.orders import SealBundle
from services.bundler.archives import Package, ZipArchive
from services.bundler.assembling import Part
from services.bundler.manifest import masked
from services.bundler.spool import Spool
from tests.services.bundler.stage import (
    AS_JSON,
    JPEG,
    SIGNER,
    ZIPPED,
    BundlerStage,
    members,
    sha256,
)
from tests.services.collectors.people import line
from tests.services.collectors.stage import INES, billing, journal

NO_MANIFEST = {"language": "en", "reference": "", "generated_at": "", "sections": []}
NAMES = [
    "manifest.json",
    "SHA256SUMS",
    "SHA256SUMS.sig",
    "README.txt",
    "billing/invoices.json",
    "journal/entries.json",
    "journal/moods.json",
    "journal/moods/files.json",
    "journal/moods/files/0001.jpg",
    "journal/moods/files/0002.bin",
]


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    with BundlerStage(folder=tmp_path, policy=ZIPPED) as stage:
        request_id = stage.exported()
        stage.seal()
        return stage.archive(request_id)


@pytest.fixture
def unpacked(archive: bytes, tmp_path: Path) -> Path:
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(BytesIO(archive)) as unzipped:
        unzipped.extractall(folder)
    return folder


def test_the_manifest_comes_first_then_sums_signature_and_letter(archive: bytes) -> None:
    assert list(members(archive)) == NAMES


def test_rows_are_a_json_array_as_the_source_gave_them(archive: bytes) -> None:
    found = members(archive)
    expected = journal().rows["entries"]["u-17"]

    assert json.loads(found["journal/entries.json"]) == expected
    assert b"".join(map(line, expected)).splitlines() == [
        row.removesuffix(b",") for row in found["journal/entries.json"].splitlines()[1:-1]
    ]
    assert found["journal/moods.json"] == b"[]\n"


def test_attachments_have_generated_names_and_an_index_of_their_own(archive: bytes) -> None:
    found = members(archive)

    assert found["journal/moods/files/0001.jpg"] == JPEG
    assert found["journal/moods/files/0002.bin"] == b""
    index = json.loads(found["journal/moods/files.json"])
    assert [(entry["path"], entry["name"]) for entry in index] == [
        ("journal/moods/files/0001.jpg", "me at home.jpg"),
        ("journal/moods/files/0002.bin", "note"),
    ]


def test_the_manifest_says_what_is_there_and_nothing_that_a_record_says(archive: bytes) -> None:
    found = members(archive)
    manifest = json.loads(found["manifest.json"])

    assert manifest["format"] == "habeas-export/1"
    assert manifest["subject"] == {"name": "Ines Example", "email": "i***@example.org"}
    assert manifest["tenant"] == "acme-wellbeing"
    assert manifest["filed_by"] == "SUBJECT"
    assert (manifest["profile"], manifest["policy_version"]) == ("member-portal", 1)
    assert [(s["source"], s["name"], s["records"], s["status"]) for s in manifest["sections"]] == [
        ("billing", "invoices", 1, "COMPLETE"),
        ("journal", "entries", 3, "COMPLETE"),
        ("journal", "moods", 0, "COMPLETE"),
    ]
    for secret in (b"entry 1", b"me at home", b"12.50", INES["email"].encode(), b"u-17"):
        assert secret not in found["manifest.json"]


def test_every_digest_in_the_manifest_can_be_computed_again(archive: bytes) -> None:
    found = members(archive)
    listed = set()

    for section in json.loads(found["manifest.json"])["sections"]:
        sums = "".join(f"{file['sha256']}  {file['path']}\n" for file in section["files"])
        assert sha256(sums.encode()) == section["sha256"]
        assert section["bytes"] == sum(len(found[file["path"]]) for file in section["files"])
        for file in section["files"]:
            assert sha256(found[file["path"]]) == file["sha256"]
            listed.add(file["path"])

    assert listed == set(NAMES[4:])


def test_sha256sum_verifies_it(unpacked: Path) -> None:
    done = subprocess.run(
        ["sha256sum", "--strict", "-c", "SHA256SUMS"],
        cwd=unpacked,
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    listed = {entry.split("  ")[1] for entry in (unpacked / "SHA256SUMS").read_text().splitlines()}
    files = {str(p.relative_to(unpacked)) for p in unpacked.rglob("*") if p.is_file()}
    assert files - listed == {"SHA256SUMS", "SHA256SUMS.sig"}


def test_ssh_keygen_verifies_who_made_it(unpacked: Path) -> None:
    signers = unpacked.parent / "allowed_signers"
    signers.write_text(sshsig.allowed_signers_line("privacy@example.org", SIGNER.public) + "\n")
    sums = (unpacked / "SHA256SUMS").read_bytes()
    sshsig.verify((unpacked / "SHA256SUMS.sig").read_bytes(), sums, SIGNER.public)

    if shutil.which("ssh-keygen") is None:
        pytest.skip("no ssh-keygen on this machine: checked by our own verifier only")
    command = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", "privacy@example.org"]
    command += ["-n", "habeas-export", "-s", "SHA256SUMS.sig"]
    genuine = subprocess.run(command, cwd=unpacked, input=sums, capture_output=True, check=False)
    changed = subprocess.run(
        command, cwd=unpacked, input=sums + b" ", capture_output=True, check=False
    )
    assert (genuine.returncode, changed.returncode != 0) == (0, True)


def test_info_zip_finds_nothing_wrong(archive: bytes, tmp_path: Path) -> None:
    if shutil.which("unzip") is None:
        pytest.skip("no unzip on this machine: checked by zipfile only")
    (tmp_path / "a.zip").write_bytes(archive)

    done = subprocess.run(["unzip", "-t", "a.zip"], cwd=tmp_path, capture_output=True, check=False)

    assert done.returncode == 0, done.stdout


def test_sizes_stand_before_the_content_so_that_it_can_be_read_from_the_front(
    archive: bytes,
) -> None:
    with zipfile.ZipFile(BytesIO(archive)) as unzipped:
        assert unzipped.testzip() is None
        for entry in unzipped.infolist():
            assert not entry.flag_bits & 0x08
            local = archive[entry.header_offset :]
            assert int.from_bytes(local[18:22], "little") == entry.compress_size
            assert int.from_bytes(local[22:26], "little") == entry.file_size


def test_the_same_inputs_give_the_same_bytes_whenever_they_are_sealed(tmp_path: Path) -> None:
    with BundlerStage(folder=tmp_path, policy=ZIPPED) as stage:
        stage.exported()
        order = stage.owed_of(SealBundle)

        first = stage.seal_run(order)
        stage.clock.advance(timedelta(hours=7))
        second = stage.seal_run(order)

        assert first == second


def test_what_was_not_chosen_is_named_as_missing(tmp_path: Path) -> None:
    with BundlerStage(folder=tmp_path, policy=ZIPPED) as stage:
        request_id = stage.file_export(sections=("entries",))
        stage.collect_all()
        stage.seal()

        found = members(stage.archive(request_id))

        manifest = json.loads(found["manifest.json"])
        assert [s["name"] for s in manifest["sections"]] == ["entries"]
        assert manifest["partial"] == [
            {"source": "billing", "section": "invoices", "why": "NOT_CHOSEN"},
            {"source": "journal", "section": "moods", "why": "NOT_CHOSEN"},
        ]


def test_a_section_that_holds_nothing_is_proved_empty(tmp_path: Path) -> None:
    sources = {"journal": journal(0), "billing": billing()}
    with BundlerStage(folder=tmp_path, policy=ZIPPED, sources=sources) as stage:
        request_id = stage.exported()
        stage.seal()

        manifest = json.loads(members(stage.archive(request_id))["manifest.json"])

        status = {s["name"]: s["status"] for s in manifest["sections"]}
        assert status == {"invoices": "COMPLETE", "entries": "EMPTY", "moods": "EMPTY"}


def test_titles_and_the_letter_are_in_the_persons_language(tmp_path: Path) -> None:
    with BundlerStage(folder=tmp_path, policy=ZIPPED) as stage:
        stage.exported()
        bundler_order = stage.owed_of(SealBundle)
        french = replace(bundler_order, language="fr")
        run = stage.seal_run(french)

        found = members(run)

        titles = [s["title"] for s in json.loads(found["manifest.json"])["sections"]]
        assert titles == ["invoices (fr)", "entries (fr)", "moods (fr)"]
        assert found["README.txt"].decode().startswith("Vos données : EXP-2026-")
        assert b"Your data: EXP-2026-" in found["README.txt"]


def test_one_json_document_holds_the_same_with_its_manifest_first(tmp_path: Path) -> None:
    with BundlerStage(folder=tmp_path, policy=AS_JSON) as stage:
        request_id = stage.exported()
        stage.seal()

        text = stage.archive(request_id)
        document = json.loads(text)

        assert list(document) == ["manifest", "sections", "files"]
        assert document["sections"]["journal/entries"] == journal().rows["entries"]["u-17"]
        assert document["sections"]["journal/moods"] == []
        photo = document["files"]["journal/moods/files/0001.jpg"]
        assert base64.b64decode(photo) == JPEG
        entries = document["manifest"]["sections"][1]["files"][0]
        start = text.index(b'"journal/entries":') + len(b'"journal/entries":')
        assert sha256(text[start : start + entries["bytes"]]) == entries["sha256"]
        assert stage.contents(request_id)["file_name"].endswith(".json")


def test_large_members_have_their_sizes_in_the_long_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Four gigabytes, made small enough for a test.
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)
    content = bytes(range(256)) * 100
    with Spool(tmp_path, 1 << 20, bytes) as spool:
        part = Part(spool.add("journal/entries.json", content), "application/json")
        package = Package(manifest=NO_MANIFEST, parts=(part,), spool=spool, signer=SIGNER)
        out = BytesIO()

        for _ in ZipArchive().write(package, out):
            pass

    with zipfile.ZipFile(out) as unzipped:
        assert unzipped.getinfo("journal/entries.json").extract_version == 45
        assert unzipped.read("journal/entries.json") == content


@pytest.mark.parametrize(
    ("email", "shown"),
    [
        ("ines@example.org", "i***@example.org"),
        ("a@b@example.org", "a***@example.org"),
        ("", None),
        (None, None),
    ],
)
def test_an_address_is_shown_as_its_owner_would_recognise_it(
    email: str | None, shown: str | None
) -> None:
    assert masked(email) == shown
