"""An invented clinic's database with everything that makes rows hard to carry.

Two tenants number their patients alike, so `p-1` of one is somebody else in the other.
"""

DECLARATION = """
source: clinic
owner: team-clinic
database: ${CLINIC_DSN}
retention:
  health-10y: {basis: health law, years: 10, from: held_on}
sections:
  visits:
    title: {en: Visits}
    table: visit
    match: {tenant: subject.tenant, patient_id: subject.patient_id}
    columns: [id, held_on, price, notes]
    purpose: treat you
    erase: {keep: health-10y, scrub: [notes, remark]}
    ignore: {room: not personal}
  measures:
    title: {en: Measurements}
    table: measure
    match: {visit_id: visit.id}
    columns: [visit_id, place, taken_at, value, raw, parsed, big]
    purpose: see how you are
    erase: {keep: health-10y, from: taken_at, scrub: [raw]}
  letters:
    title: {en: Letters}
    table: letter
    match: {tenant: subject.tenant, patient_id: subject.patient_id}
    columns: [id, sent_at, body]
    files: {name: file_name, media_type: media_type, bytes: scan}
    purpose: write to you
    erase: delete
  replies:
    title: {en: Replies to letters}
    table: reply
    match: {letter_id: letter.id}
    columns: [id, letter_id, body]
    purpose: read what you answer
    erase: delete
  remarks:
    title: {en: Remarks in the guest book}
    table: guest_book
    match: {tenant: subject.tenant, author_id: subject.patient_id}
    columns: [code, body, written_at]
    purpose: show what guests say
    erase: {anonymise: {author_id: nobody, body: "[deleted]", mood: null}}
"""

# Replies stand before letters and have no cascade: whoever deletes has to know the order.
SCHEMA = r"""
CREATE TABLE visit (
    id bigint PRIMARY KEY, tenant text NOT NULL, patient_id text NOT NULL, held_on date NOT NULL,
    price numeric(20, 4), notes text, remark text NOT NULL DEFAULT '', room text
);
CREATE INDEX ON visit (tenant, patient_id, id);
CREATE TABLE measure (
    visit_id bigint NOT NULL REFERENCES visit (id), place integer NOT NULL,
    taken_at timestamptz NOT NULL, value double precision, raw json, parsed jsonb, big bigint,
    PRIMARY KEY (visit_id, place)
);
CREATE TABLE letter (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tenant text NOT NULL, patient_id text NOT NULL,
    sent_at timestamptz NOT NULL, body text NOT NULL,
    file_name text, media_type text, scan bytea
);
CREATE INDEX ON letter (tenant, patient_id, id);
CREATE TABLE reply (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    letter_id uuid NOT NULL REFERENCES letter (id), body text NOT NULL
);
CREATE INDEX ON reply (letter_id, id);
CREATE TABLE guest_book (
    code text PRIMARY KEY, tenant text NOT NULL, author_id text NOT NULL,
    body text NOT NULL, mood text, written_at timestamp NOT NULL
);
"""

# Every patient of every tenant gets rows like these; {n} keeps keys apart.
ROWS = r"""
INSERT INTO visit SELECT {n} * 1000 + g, '{tenant}', '{patient}', date '2025-01-01' + g,
    CASE WHEN g % 5 > 0 THEN g * 1.0001 END, CASE WHEN g % 2 = 0 THEN 'note ' || g END, 'rem', 'r'
FROM generate_series(1, 23) g;
INSERT INTO measure SELECT {n} * 1000 + 1 + g % 7, g,
    timestamptz '2025-03-30 00:30:00+00' + g * interval '1 hour' + interval '1 microsecond',
    CASE g WHEN 1 THEN 'NaN' WHEN 2 THEN '-Infinity' WHEN 3 THEN 0.1::float8 + 0.2::float8 END::float8,
    E'{{"a":\n\t"x\\n\\u00e9\\\\",\r\n "b": [1,  2]}}'::json,
    '{{"deep": {{"list": [null, true, "\"quoted\""]}}}}'::jsonb,
    9223372036854775807 - g
FROM generate_series(1, 31) g;
INSERT INTO letter (tenant, patient_id, sent_at, body, file_name, media_type, scan)
SELECT '{tenant}', '{patient}', timestamptz '2025-06-01 12:00:00+05:30' + g * interval '1 day',
    body, CASE WHEN g < 3 THEN 'scan ' || g || '.bin' END, 'application/octet-stream',
    CASE WHEN g < 3 THEN decode(repeat(lpad(to_hex(g), 2, '0'), 700000), 'hex') END
FROM unnest(ARRAY[
    E'tab\tline\nreturn\r back\b form\f vertical\v bell\x07', 'C:\new\table \\server \N \.',
    '"double" ''single'' {{"json": true}}', 'Zoë 日本語 🎶 עברית ' || chr(8232) || chr(133), '', '  '
]) WITH ORDINALITY AS t(body, g);
INSERT INTO reply (letter_id, body)
SELECT id, 'reply ' || g FROM letter, generate_series(1, 3) g
WHERE tenant = '{tenant}' AND patient_id = '{patient}' ORDER BY id, g;
INSERT INTO guest_book SELECT '{tenant}/' || chr(64 + {n}) || '/' || lpad(g::text, 2, '0'),
    '{tenant}', '{patient}', 'I liked the tea', 'happy', timestamp '2025-01-01 08:00:00.5'
FROM generate_series(1, 9) g;
"""

PATIENTS = (("north", "p-1"), ("north", "p-2"), ("south", "p-1"))
ADA = {"tenant": "north", "patient_id": "p-1"}
BRUNO = {"tenant": "north", "patient_id": "p-2"}
NAMESAKE = {"tenant": "south", "patient_id": "p-1"}
SECTIONS = ("visits", "measures", "letters", "replies", "remarks")

# What is not Ada's, found without the code under test.
OTHERS = (
    "SELECT t::text FROM visit t WHERE NOT (tenant = 'north' AND patient_id = 'p-1')",
    "SELECT t::text FROM measure t WHERE NOT visit_id BETWEEN 1000 AND 1999",
    "SELECT t::text FROM letter t WHERE NOT (tenant = 'north' AND patient_id = 'p-1')",
    """SELECT t::text FROM reply t JOIN letter l ON l.id = letter_id
    WHERE NOT (tenant = 'north' AND patient_id = 'p-1')""",
    "SELECT t::text FROM guest_book t WHERE NOT code LIKE 'north/A/%'",
)
EVERYTHING = (
    "SELECT t::text FROM visit t",
    "SELECT t::text FROM measure t",
    "SELECT t::text FROM letter t",
    "SELECT t::text FROM reply t",
    "SELECT t::text FROM guest_book t",
)


def script() -> str:
    filled = (
        ROWS.format(tenant=tenant, patient=patient, n=n)
        for n, (tenant, patient) in enumerate(PATIENTS, 1)
    )
    return SCHEMA + "".join(filled)
