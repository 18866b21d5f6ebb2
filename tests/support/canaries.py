"""Looks for people where none may be: raw, and in the disguises that data leaks in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from psycopg import connect, sql

from devstack.products.loading import DemoPerson
from plumbing.kafka import Connection


def disguises(text: str) -> Iterator[bytes]:
    """The text raw and lower-cased, and each of those encoded or hashed."""
    for raw in {text.encode(), text.lower().encode()}:
        yield raw
        yield raw.hex().encode()
        yield base64.b64encode(raw).rstrip(b"=")
        yield base64.urlsafe_b64encode(raw).rstrip(b"=")
        yield quote(raw).encode()
        for algorithm in ("md5", "sha1", "sha256"):
            digest = hashlib.new(algorithm, raw, usedforsecurity=False).digest()
            yield digest
            yield digest.hex().encode()


def canaries(people: Iterable[DemoPerson]) -> dict[bytes, str]:
    """What must be found nowhere, and a word for it that a failing test may show."""
    found: dict[bytes, str] = {}
    for number, person in enumerate(people):
        named = {
            "e-mail": person.email,
            "name": person.name,
            "stable id": person.stable_id,
            "user id": person.handles.get("user_id", ""),
        }
        for what, text in named.items():
            if text:
                found |= dict.fromkeys(disguises(text), f"{what} of person {number}")
    return found


def hits(where: str, data: bytes, looked_for: dict[bytes, str]) -> list[str]:
    return [f"{where}: {what}" for needle, what in looked_for.items() if needle in data]


def in_topics(connection: Connection, looked_for: dict[bytes, str]) -> list[str]:
    """Every record of every topic: key, value and headers."""
    admin, reader = connection.admin(), connection.reader()
    found: list[str] = []
    for topic in sorted(admin.topics()):
        tps = [(topic, p) for p in range(admin.describe(topic) or 0)]
        reader.assign(reader.start_offsets(tps))
        ends = reader.end_offsets(tps)
        while any(reader.position(tp) < ends[tp] for tp in tps):
            for record in reader.poll(500, 0.1):
                headers = b"".join(k.encode() + v for k, v in record.headers)
                whole = (record.key or b"") + b"\0" + (record.value or b"") + b"\0" + headers
                found += hits(f"{topic}-{record.partition}@{record.offset}", whole, looked_for)
    admin.close()
    reader.close()
    return found


def in_files(folders: Iterable[Path], looked_for: dict[bytes, str]) -> list[str]:
    return [
        hit
        for folder in folders
        for path in sorted(folder.rglob("*"))
        # Kafka's index files are numbers only, and ten preallocated megabytes each.
        if path.is_file() and not path.name.endswith("index")
        for hit in hits(path.name, path.read_bytes(), looked_for)
    ]


def in_database(dsn: str, looked_for: dict[bytes, str]) -> list[str]:
    """Every row of every table, as the database prints it."""
    tables = (
        "SELECT schemaname, tablename FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    found: list[str] = []
    with connect(dsn) as connection:
        for schema, table in connection.execute(tables).fetchall():
            query = sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(schema, table))
            with connection.cursor().copy(query) as copy:
                rows = b"".join(bytes(block) for block in copy)
            found += hits(f"{schema}.{table}", rows, looked_for)
    return found
