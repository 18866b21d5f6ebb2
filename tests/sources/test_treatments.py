"""What goes, what stays and what is overwritten; how often it may be asked for; who else feels it."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date, timedelta

import psycopg
import pytest

from sources.contract import (
    Handles,
    Probed,
    SectionTreated,
    Source,
    SourceRefused,
    SourceUnavailable,
    Step,
    Treated,
)
from sources.declaration import parse
from sources.postgres import PostgresSource
from sources.tables.connections import Limits
from tests.sources.clinic import ADA, BRUNO, DECLARATION, EVERYTHING, NAMESAKE, OTHERS, SECTIONS

STEP = Step(request_id="request-1", step_id="step-1", fence=3)


def step(step_id: str = "step-1", fence: int = 3, request_id: str = "request-1") -> Step:
    return Step(request_id=request_id, step_id=step_id, fence=fence)


def treated(source: Source, handles: Handles, order: Step = STEP, limit: int = 1_000) -> Treated:
    while True:
        answer = source.treat(handles, order, limit=limit)
        if not answer.more:
            return answer


def counts(answer: Treated) -> dict[str, tuple[int, int, int]]:
    return {s.section: (s.deleted, s.retained, s.anonymised) for s in answer.sections}


def digests(database: psycopg.Connection, queries: tuple[str, ...] = EVERYTHING) -> list[str]:
    """One SHA-256 for each query's rows, in no order."""
    return [
        hashlib.sha256(
            "\n".join(sorted(row[0] for row in database.execute(query.encode()))).encode()
        ).hexdigest()
        for query in queries
    ]


ALL = {
    "visits": (0, 23, 0),
    "measures": (0, 31, 0),
    "letters": (6, 0, 0),
    "replies": (18, 0, 0),
    "remarks": (0, 0, 9),
}


@pytest.mark.requirement("E3-24")
def test_each_section_is_treated_as_declared(source: PostgresSource) -> None:
    answer = treated(source, ADA)

    assert counts(answer) == ALL
    assert [s.section for s in answer.sections] == list(SECTIONS)


def test_after_erasure_the_export_is_empty_but_for_what_is_kept(source: PostgresSource) -> None:
    kept = b"".join(source.stream(ADA, "visits"))

    treated(source, ADA)

    assert {s: source.export(ADA, s).count for s in SECTIONS} == {
        "visits": 23,
        "measures": 31,
        "letters": 0,
        "replies": 0,
        "remarks": 0,
    }
    assert source.files(ADA, "letters").files == ()
    after = b"".join(source.stream(ADA, "visits"))
    assert b"note 2" in kept
    assert b"note 2" not in after
    assert after.count(b'"notes":null') == 23


def test_scrubbed_columns_are_emptied_or_say_that_they_were(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    treated(source, ADA)

    found = database.execute(
        "SELECT DISTINCT notes, remark, room FROM visit WHERE id BETWEEN 1000 AND 1999"
    ).fetchall()
    assert found == [(None, "[deleted]", "r")]
    raws = database.execute(b"SELECT count(raw) FROM measure WHERE visit_id < 2000").fetchone()
    assert raws == (0,)


def test_anonymised_rows_stay_and_name_nobody(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    treated(source, ADA)

    found = database.execute(
        b"SELECT author_id, body, mood, count(*) FROM guest_book WHERE code LIKE 'north/A/%' "
        b"GROUP BY 1, 2, 3"
    ).fetchall()
    assert found == [("nobody", "[deleted]", None, 9)]


@pytest.mark.requirement("E3-47")
def test_other_peoples_rows_stay_byte_for_byte(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    before = digests(database, OTHERS)

    treated(source, ADA, limit=4)

    assert digests(database, OTHERS) == before
    assert digests(database) != before


@pytest.mark.requirement("E2-06")
@pytest.mark.parametrize("limit", [1, 2, 5, 18, 1_000])
def test_batches_of_any_size_come_to_the_same(source: PostgresSource, limit: int) -> None:
    calls, sums = 0, []
    while True:
        answer = source.treat(ADA, STEP, limit=limit)
        calls += 1
        sums.append(sum(s.deleted + s.anonymised for s in answer.sections))
        if not answer.more:
            break

    assert counts(answer) == ALL
    assert all(later - earlier <= limit for earlier, later in zip([0, *sums], sums, strict=False))
    assert calls >= 33 // limit


def test_a_finished_step_changes_nothing_and_answers_the_same(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    first = treated(source, ADA)
    before = digests(database)

    second = source.treat(ADA, STEP)

    assert (second.sections, second.more) == (first.sections, False)
    assert digests(database) == before


def test_a_second_step_finds_nothing_more_to_do(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    treated(source, ADA)
    before = digests(database)

    again = treated(source, ADA, step("step-2"))

    assert counts(again) == {
        "visits": (0, 23, 0),
        "measures": (0, 31, 0),
        "letters": (0, 0, 0),
        "replies": (0, 0, 0),
        "remarks": (0, 0, 0),
    }
    assert digests(database) == before


def test_a_step_whose_replies_were_lost_counts_every_row_once(
    source: PostgresSource, clinic_dsn: str
) -> None:
    for _ in range(4):
        source.treat(ADA, STEP, limit=3)
    source.close()

    assert counts(treated(source, ADA, limit=3)) == ALL


def test_an_erasure_forgets_the_positions_that_it_noted(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    source.treat(ADA, STEP, limit=1)
    noted = database.execute("SELECT count(position) FROM habeas_step").fetchone()
    treated(source, ADA, limit=1)

    assert noted == (1,)
    assert database.execute("SELECT count(position) FROM habeas_step").fetchone() == (0,)


def test_a_lower_fence_is_refused_and_does_nothing(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    source.treat(ADA, step("new order", fence=4), limit=2)
    before = digests(database)

    with pytest.raises(SourceRefused, match="FENCE_FELL"):
        source.treat(ADA, step("old order", fence=3))

    assert digests(database) == before


def test_a_fence_that_was_seen_counts_even_if_its_batch_failed(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    source.treat(BRUNO, step(fence=1, request_id="another"))
    database.execute("ALTER TABLE letter RENAME TO letter_for_now")
    with pytest.raises(Exception, match="TABLE_MISSING"):
        treated(source, ADA, step("failed", fence=9))
    database.execute("ALTER TABLE letter_for_now RENAME TO letter")

    with pytest.raises(SourceRefused, match="FENCE_FELL"):
        source.treat(ADA, step("overtaken", fence=8))


def test_fences_of_different_requests_do_not_meet(source: PostgresSource) -> None:
    treated(source, ADA, step(fence=7))

    assert counts(treated(source, BRUNO, step(fence=1, request_id="request-2"))) == ALL


def test_two_workers_on_one_step_share_it(source: PostgresSource) -> None:
    with ThreadPoolExecutor(2) as workers:
        answers = [workers.submit(treated, source, ADA, STEP, 2) for _ in range(2)]

    assert [counts(answer.result()) for answer in answers] == [ALL, ALL]


def test_a_plan_says_what_would_happen_and_touches_nothing(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    before = digests(database)

    plan = source.plan(ADA)

    assert digests(database) == before
    assert [(i.section, i.treatment, i.count) for i in plan] == [
        ("visits", "retain", 23),
        ("measures", "retain", 31),
        ("letters", "delete", 6),
        ("replies", "delete", 18),
        ("remarks", "anonymise", 9),
    ]
    visits, measures = plan[:2]
    assert (visits.basis, visits.keep_until) == ("health law", "10 years from held_on")
    assert visits.scrub == ("notes", "remark")
    assert visits.latest_end == date(2035, 1, 24)
    assert measures.latest_end == date(2035, 3, 31)


def test_a_probe_counts_what_is_left_before_and_after(source: PostgresSource) -> None:
    before = source.probe(ADA)
    answer = treated(source, ADA)
    after = source.probe(ADA)

    assert [(p.section, p.left, p.retained) for p in before.sections] == [
        ("visits", 23, 23),
        ("measures", 31, 31),
        ("letters", 6, 0),
        ("replies", 18, 0),
        ("remarks", 9, 0),
    ]
    assert after.sections == tuple(
        Probed(section=section, left=0, retained={"visits": 23, "measures": 31}.get(section, 0))
        for section in SECTIONS
    )
    assert before.watermark < answer.watermark < after.watermark


def test_a_probe_finds_a_row_that_came_back(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    treated(source, ADA)
    database.execute(
        "INSERT INTO letter (tenant, patient_id, sent_at, body) VALUES ('north', 'p-1', now(), '')"
    )
    database.execute("UPDATE visit SET notes = 'again' WHERE id = 1001")

    left = {p.section: p.left for p in source.probe(ADA).sections if p.left}

    assert left == {"letters": 1, "visits": 1}


def test_an_unknown_person_is_treated_as_nobody(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    before = digests(database)

    answer = treated(source, {"tenant": "south", "patient_id": "p-2"})

    assert all(
        s == SectionTreated(section=s.section, deleted=0, retained=0, anonymised=0)
        for s in answer.sections
    )
    assert digests(database) == before


def test_erasing_a_namesake_leaves_the_person(source: PostgresSource) -> None:
    treated(source, NAMESAKE)

    assert {s: source.export(ADA, s).count for s in SECTIONS} == {
        "visits": 23,
        "measures": 31,
        "letters": 6,
        "replies": 18,
        "remarks": 9,
    }


def test_rows_that_an_undeclared_table_points_at_are_refused_and_nothing_is_half_done(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    database.execute("CREATE TABLE stamp (letter_id uuid REFERENCES letter (id))")
    database.execute("INSERT INTO stamp SELECT id FROM letter")
    before = digests(database)

    with pytest.raises(SourceRefused, match="ROWS_STILL_REFERENCED"):
        treated(source, ADA)

    assert digests(database) == before


def test_a_row_that_somebody_else_holds_is_waited_for_only_so_long(
    clinic_dsn: str,
) -> None:
    limits = Limits(lock=timedelta(milliseconds=50))
    with (
        closing(PostgresSource(parse(DECLARATION), clinic_dsn, limits)) as source,
        psycopg.connect(clinic_dsn) as other,
    ):
        other.execute("SELECT FROM letter FOR UPDATE")

        with pytest.raises(SourceUnavailable, match="SOURCE_BUSY"):
            treated(source, ADA)

        other.rollback()
        assert counts(treated(source, ADA)) == ALL
