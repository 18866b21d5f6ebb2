"""An archive checked by what is written in it, with the tools that anybody has."""

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

from devstack.demo.visitor import DemoFailedError
from proofs.keys import VerifyKey
from proofs.sshsig import verify


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What an archive holds, after everything in it was found to be as it says."""

    bytes: int
    sha256: str
    files: int
    records: int
    sections: dict[str, int]


def check(archive: bytes, digest: str, key: VerifyKey) -> Checked:
    """Manifest first, every file as SHA256SUMS says, the sums signed.

    Raises:
        DemoFailedError: the first thing that is not so.
    """
    sha256 = hashlib.sha256(archive).hexdigest()
    if sha256 != digest:
        raise DemoFailedError("The archive's SHA-256 is not the one that was announced.")
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        names = opened.namelist()
        if not names or not names[0].endswith("manifest.json"):
            raise DemoFailedError("The manifest is not the first member.")
        folder = names[0].removesuffix("manifest.json")
        manifest: dict[str, Any] = json.loads(opened.read(names[0]))
        sums = opened.read(f"{folder}SHA256SUMS")
        verify(opened.read(f"{folder}SHA256SUMS.sig"), sums, key)
        for line in sums.decode().splitlines():
            expected, _, name = line.partition("  ")
            if hashlib.sha256(opened.read(folder + name)).hexdigest() != expected:
                raise DemoFailedError(f"{name} is not what SHA256SUMS says.")
    sections = {s["name"]: int(s["records"]) for s in manifest["sections"]}
    return Checked(
        bytes=len(archive),
        sha256=sha256,
        files=len(names),
        records=sum(sections.values()),
        sections=sections,
    )
