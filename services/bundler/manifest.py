"""What is in an archive and what proves it: the manifest and the list of sums. Does no I/O.

Rule 1: the manifest holds no record and no name that a person gave to something, so it may be
pasted into a letter as proof of scope.
Rule 2: same inputs, same bytes: times are those of the run, never of the writing.
Rule 3: the SHA-256 of a section is over its lines of the list of sums, in order, so that it can be
computed again by hand.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from rights.orders import SealBundle
from services.bundler.assembling import Assembled, Section

FORMAT: Final = "habeas-export/1"
SECTION_RULE: Final = "SHA-256 of the lines `<sha256>  <path>` of its files, sorted by path"


@dataclass(frozen=True, slots=True)
class Sum:
    """One line of the list of sums."""

    path: str
    sha256: str

    def line(self) -> str:
        # Two spaces: the format of sha256sum, and of `shasum -a 256`.
        return f"{self.sha256}  {self.path}\n"


def sums(parts: Iterable[Sum]) -> bytes:
    return "".join(entry.line() for entry in sorted(parts, key=lambda s: s.path)).encode()


def manifest(
    order: SealBundle, person: Mapping[str, Any], assembled: Mapping[str, Assembled]
) -> dict[str, Any]:
    """What the archive of this order is, by source; `person` is the vault's row of handles."""
    generated_at = max(s.extent.collected_at for s in order.extents)
    return {
        "format": FORMAT,
        "reference": order.reference,
        "request_id": order.request_id,
        # Later changes are not in it. The archive is made of what was read until then.
        "generated_at": instant(generated_at),
        "filed_at": instant(order.filed_at),
        "filed_by": order.filed_by.value,
        "subject": {"name": person.get("name"), "email": masked(person.get("email"))},
        "tenant": person.get("tenant"),
        "profile": order.profile,
        "policy_version": order.policy_version,
        "language": order.language,
        "section_sha256": SECTION_RULE,
        "sections": [
            section_entry(section)
            for source in sorted(assembled)
            for section in assembled[source].sections
        ],
        "partial": [
            {"source": source, "section": name, "why": "NOT_CHOSEN"}
            for source in sorted(assembled)
            for name in assembled[source].left_out
        ],
        "truncations": [],
        "omissions": [],
    }


def section_entry(section: Section) -> dict[str, Any]:
    files = [
        {
            "path": part.member.path,
            "bytes": part.member.size,
            "sha256": part.member.sha256,
            "media_type": part.media_type,
        }
        for part in sorted(section.parts, key=lambda p: p.member.path)
    ]
    return {
        "name": section.name,
        "title": section.title,
        "source": section.source,
        "status": "COMPLETE" if section.records or section.index else "EMPTY",
        "records": section.records,
        "bytes": sum(part.member.size for part in section.parts),
        "sha256": section_sha256(section),
        "watermark": section.watermark,
        "files": files,
    }


def section_sha256(section: Section) -> str:
    own = sums(Sum(part.member.path, part.member.sha256) for part in section.parts)
    return hashlib.sha256(own).hexdigest()


def contents(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The manifest's sections as the vault keeps them: files counted, not listed."""
    kept = ("name", "source", "title", "records", "bytes", "sha256")
    return [{key: e[key] for key in kept} | {"files": len(e["files"])} for e in entries]


def encoded(value: Mapping[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def masked(email: str | None) -> str | None:
    """Enough to recognise one's own address by: `i***@example.org`."""
    if not email or "@" not in email:
        return None
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}***@{domain}"
