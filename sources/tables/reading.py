"""The SQL that turns a person's rows into JSON lines, pages and pieces of files.

Postgres makes the JSON and sends it by COPY: the rows never become Python objects. It decides
neither who the person is (`matching.py`) nor which moment is read (`postgres.py`).
"""

from collections.abc import Iterator
from contextlib import suppress

from plumbing.postgres import Connection, Cursor, TupleRow, sql
from sources.contract import FileFacts, FilePage, Page, SourceRefused
from sources.sections import FileColumns
from sources.tables.matching import Rows, column

BLOCK_BYTES = 256 * 1024
PAGE_BYTES_MAX = 8 * 1024 * 1024
FILE_PIECE_BYTES = 512 * 1024

LINES = """COPY (SELECT row_to_json(habeas_line) FROM (
SELECT {columns} FROM {table} WHERE {condition} ORDER BY {order} LIMIT {limit}
) AS habeas_line) TO STDOUT"""


class _PageIsFull(Exception):  # noqa: N818 -- No error: the driver ends a COPY early by exception only.
    pass


def lines(connection: Connection[TupleRow], rows: Rows) -> Iterator[bytes]:
    """Give the whole section in blocks of whole lines; closing the iterator cancels the COPY."""
    # The reader's pace is not the statement's fault.
    connection.execute("SET LOCAL statement_timeout = 0")
    block: list[bytes] = []
    size = 0
    with connection.cursor().copy(_statement(rows, None, None)) as copy:
        for line in copy:
            block.append(bytes(line))
            size += len(line)
            if size >= BLOCK_BYTES:
                yield _unescaped(block)
                block, size = [], 0
    if block:
        yield _unescaped(block)


def page(connection: Connection[TupleRow], rows: Rows, cursor: str | None, limit: int) -> Page:
    """Read one page within the open transaction, and where the next one begins."""
    connection.execute("SAVEPOINT page")
    found, is_cut = _up_to(PAGE_BYTES_MAX, connection.cursor(), _statement(rows, cursor, limit))
    if is_cut:
        connection.execute("ROLLBACK TO page")
    has_more = is_cut or len(found) == limit
    return Page(
        lines=_unescaped(found),
        count=len(found),
        cursor=_position_of(connection, rows, cursor, len(found)) if has_more else None,
    )


def _up_to(
    bytes_max: int, cursor: Cursor[TupleRow], statement: sql.Composed
) -> tuple[list[bytes], bool]:
    found: list[bytes] = []
    size = 0
    is_cut = False
    with suppress(_PageIsFull), cursor.copy(statement) as copy:
        for line in copy:
            size += len(line)
            if found and size > bytes_max:
                is_cut = True
                raise _PageIsFull
            found.append(bytes(line))
    return found, is_cut


def _unescaped(found: list[bytes]) -> bytes:
    # COPY doubles backslashes and escapes raw control characters. JSON as Postgres makes it holds
    # none of the latter, so halving the former gives the JSON back.
    return b"".join(found).replace(b"\\\\", b"\\")


def _statement(rows: Rows, cursor: str | None, limit: int | None) -> sql.Composed:
    return sql.SQL(LINES).format(
        columns=sql.SQL(", ").join([_exported(rows, c) for c in rows.mapped.section.columns]),
        table=rows.table,
        condition=rows.after(cursor),
        order=rows.order,
        limit=sql.Literal(limit),
    )


def _exported(rows: Rows, name: str) -> sql.Composable:
    if rows.mapped.table.columns[name].type != "json":
        return column(name)
    # `json` keeps its text as it was written. A raw line break can only stand between its tokens,
    # where a space means the same and keeps one row on one line.
    return sql.SQL("translate({}::text, E'\\n\\r\\t', '   ')::json AS {}").format(
        column(name), sql.Identifier(name)
    )


def _position_of(
    connection: Connection[TupleRow], rows: Rows, cursor: str | None, count: int
) -> str:
    """Ask where a page of `count` rows ended; over the index, without reading the rows again."""
    query = sql.SQL(
        "SELECT {position} FROM {table} WHERE {condition} ORDER BY {order} LIMIT 1 OFFSET {skip}"
    ).format(
        position=rows.position,
        table=rows.table,
        condition=rows.after(cursor),
        order=rows.order,
        skip=sql.Literal(count - 1),
    )
    row = connection.execute(query).fetchone()
    if row is None:
        raise AssertionError("the page held that row in the same snapshot")
    return str(row[0])


def file_page(
    connection: Connection[TupleRow], rows: Rows, files: FileColumns, cursor: str | None, limit: int
) -> FilePage:
    query = sql.SQL(
        "SELECT {ref}, coalesce({name}::text, ''), coalesce({media_type}::text, ''), "
        "octet_length({content}) FROM {table} "
        "WHERE {condition} AND {content} IS NOT NULL ORDER BY {order} LIMIT {limit}"
    ).format(
        ref=rows.position,
        name=column(files.name),
        media_type=column(files.media_type),
        content=column(files.content),
        table=rows.table,
        condition=rows.after(cursor),
        order=rows.order,
        limit=sql.Literal(limit),
    )
    found = tuple(
        FileFacts(ref=ref, name=name, media_type=media_type, size_bytes=size)
        for ref, name, media_type, size in connection.execute(query)
    )
    return FilePage(files=found, cursor=found[-1].ref if len(found) == limit else None)


def file_pieces(
    connection: Connection[TupleRow], rows: Rows, files: FileColumns, ref: str
) -> Iterator[bytes]:
    """Give the file in pieces; the server cuts them, so memory stays at one piece."""
    start = 1
    while True:
        query = sql.SQL("SELECT substring({} FROM {} FOR {}) FROM {} WHERE {}").format(
            column(files.content),
            sql.Literal(start),
            sql.Literal(FILE_PIECE_BYTES),
            rows.table,
            rows.at(ref),
        )
        row = connection.cursor(binary=True).execute(query).fetchone()
        if row is None or row[0] is None:
            raise SourceRefused("FILE_UNKNOWN")
        piece = bytes(row[0])
        if piece:
            yield piece
        if len(piece) < FILE_PIECE_BYTES:
            return
        start += FILE_PIECE_BYTES
