-- Which key-encryption key wraps what lies here, and of which log this is the keyring.
CREATE TABLE kek (
    epoch integer PRIMARY KEY,
    fingerprint bytea NOT NULL,
    log_id text NOT NULL,
    since timestamptz NOT NULL
);

-- The pepper of a tenant's references, wrapped.
CREATE TABLE tenant (
    tenant text PRIMARY KEY,
    epoch integer NOT NULL,
    pepper bytea NOT NULL
);

CREATE TABLE subject (
    subject_ref text PRIMARY KEY,
    tenant text NOT NULL REFERENCES tenant
);

-- HMAC(pepper, who) -> subject_ref. Whoever holds the pepper can look a person up until it is gone.
CREATE TABLE reference (
    kind text NOT NULL CHECK (kind IN ('stable_id', 'email')),
    index bytea NOT NULL,
    subject_ref text NOT NULL REFERENCES subject,
    PRIMARY KEY (kind, index, subject_ref)
);
CREATE UNIQUE INDEX reference_of_one ON reference (index) WHERE kind = 'stable_id';
CREATE INDEX reference_of_subject ON reference (subject_ref, kind);

-- One key for each purpose a person's data is kept for, wrapped by the key-encryption key.
CREATE TABLE subject_key (
    subject_ref text NOT NULL REFERENCES subject,
    purpose text NOT NULL CHECK (purpose IN ('work', 'comms', 'audit', 'content')),
    key_id bytea NOT NULL UNIQUE,
    epoch integer NOT NULL,
    wrapped bytea NOT NULL,
    state text NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'dying')),
    PRIMARY KEY (subject_ref, purpose)
);

-- Keys of fragments and archives, wrapped by the person's content key: without that they are gone.
CREATE TABLE request_key (
    request_id text NOT NULL,
    name text NOT NULL,
    key_id bytea NOT NULL UNIQUE,
    subject_ref text NOT NULL REFERENCES subject,
    wrapped bytea NOT NULL,
    state text NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'dying')),
    PRIMARY KEY (request_id, name)
);
CREATE INDEX request_key_of_subject ON request_key (subject_ref);

-- What people can read, sealed under the person's key for the purpose.
CREATE TABLE vault_row (
    vault_id text PRIMARY KEY,
    subject_ref text NOT NULL,
    request_id text,
    purpose text NOT NULL,
    name text NOT NULL,
    put_id text NOT NULL,
    ciphertext bytea NOT NULL,
    state text NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'dying')),
    UNIQUE (put_id, name),
    -- No row outlives its key.
    FOREIGN KEY (subject_ref, purpose) REFERENCES subject_key
);
CREATE INDEX vault_row_of_subject ON vault_row (subject_ref);
CREATE INDEX vault_row_of_request ON vault_row (request_id) WHERE request_id IS NOT NULL;

-- What was destroyed, or is being destroyed. Kept: a restored backup must not bring back the dead.
CREATE TABLE destruction (
    request_id text NOT NULL,
    scope text NOT NULL CHECK (scope IN ('REQUEST', 'CONTENT', 'COMMS')),
    subject_ref text NOT NULL,
    fingerprints text[] NOT NULL,
    begun_at timestamptz NOT NULL,
    deleted_at timestamptz,
    PRIMARY KEY (request_id, scope)
);
CREATE INDEX destruction_of_subject ON destruction (subject_ref);

-- How often which service called what, with which outcome.
CREATE TABLE used (
    service text NOT NULL,
    operation text NOT NULL,
    outcome text NOT NULL,
    count bigint NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (service, operation, outcome)
);
