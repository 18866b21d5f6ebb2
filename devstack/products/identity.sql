-- One such database for each tenant: who is who, and by which names other systems know them.
CREATE TABLE person (
    stable_id text PRIMARY KEY,
    email text NOT NULL,
    name text NOT NULL,
    registered_on date NOT NULL,
    roles text[] NOT NULL DEFAULT '{}',
    handles jsonb NOT NULL DEFAULT '{}'
);

CREATE INDEX person_email ON person (email);
