-- Every row follows from the log alone: no clock, no random value, no serial number of the database.

-- How far each partition was applied. Written in the same transaction as the rows, so that a crash
-- loses both or neither; `next_offset` may also count records that left no row.
CREATE TABLE positions (
    partition   integer PRIMARY KEY,
    log_id      text    NOT NULL,
    next_offset bigint  NOT NULL,
    last_seq    bigint  NOT NULL,
    head_hash   bytea   NOT NULL
);

CREATE TABLE requests (
    request_id        text COLLATE "C"        PRIMARY KEY,
    tenant_ref        text        NOT NULL,
    subject_ref       text        NOT NULL,
    reference         text        NOT NULL,
    number            bigint      NOT NULL,
    kind              text        NOT NULL,
    state             text        NOT NULL,
    phase             text        NOT NULL,
    outcome           text,
    failure           text        NOT NULL,
    failed_source     text        NOT NULL,
    filed_by          text        NOT NULL,
    filer_ref         text        NOT NULL,
    filed_at          timestamptz NOT NULL,
    deadline_at       timestamptz NOT NULL,
    moved_at          timestamptz NOT NULL,
    profile           text        NOT NULL,
    policy_version    integer     NOT NULL,
    language          text        NOT NULL,
    sections          text[]      NOT NULL,
    waiting_source    text        NOT NULL,
    waiting_code      text        NOT NULL,
    waiting_since     timestamptz,
    object_key        text,
    contents_vault_id text,
    expires_at        timestamptz,
    is_expired        boolean     NOT NULL,
    is_removed        boolean     NOT NULL,
    plan_hash         text        NOT NULL,
    grace_ends_at     timestamptz,
    grace_skipped     boolean     NOT NULL,
    skip_ground       text,
    notice            text        NOT NULL,
    -- How many decisions were about this request, and the place of the last one.
    version           integer     NOT NULL,
    partition         integer     NOT NULL,
    seq               bigint      NOT NULL
);
CREATE INDEX requests_by_reference ON requests (tenant_ref, reference);
CREATE INDEX requests_newest_first ON requests (tenant_ref, filed_at DESC, request_id DESC);
CREATE INDEX requests_of_subject ON requests (subject_ref, filed_at DESC, request_id DESC);

-- The answer to each command. A command belongs to one partition; the partition is in the key so
-- that two partitions could never disagree about whose row it is.
CREATE TABLE commands (
    command_id   text COLLATE "C"        NOT NULL,
    partition    integer     NOT NULL,
    seq          bigint      NOT NULL,
    command_type text        NOT NULL,
    verdict      text        NOT NULL,
    code         text        NOT NULL,
    hash         bytea       NOT NULL,
    decided_at   timestamptz NOT NULL,
    tenant_ref   text,
    subject_ref  text,
    request_id   text COLLATE "C",
    reference    text,
    PRIMARY KEY (command_id, partition)
);

-- What happened to a request, event by event. `body` is the event as it is on the log: from these a
-- request is folded again when it is no longer in the projector's memory.
CREATE TABLE timeline (
    request_id   text COLLATE "C"        NOT NULL,
    partition    integer     NOT NULL,
    seq          bigint      NOT NULL,
    event_index  integer     NOT NULL,
    at           timestamptz NOT NULL,
    event_type   text        NOT NULL,
    command_type text        NOT NULL,
    actor_role   text,
    actor_ref    text,
    details      jsonb       NOT NULL,
    body         bytea       NOT NULL,
    PRIMARY KEY (request_id, seq, event_index)
);

-- One row per source of a request (section '') and one per section that is known of it.
CREATE TABLE sections (
    request_id        text COLLATE "C"    NOT NULL,
    source            text COLLATE "C"    NOT NULL,
    section           text COLLATE "C"    NOT NULL,
    state             text    NOT NULL,
    attempt           integer NOT NULL,
    waiting_code      text    NOT NULL,
    waiting_since     timestamptz,
    held_code         text    NOT NULL,
    collected_at      timestamptz,
    items             jsonb   NOT NULL,
    deleted_bucket    bigint,
    anonymised_bucket bigint,
    retained_bucket   bigint,
    left_bucket       bigint,
    kept_bucket       bigint,
    PRIMARY KEY (request_id, source, section)
);
