-- Signs of life, not decisions: they are not rebuilt and not compared, and they stay when the views
-- are exchanged.
CREATE TABLE progress (
    order_id   text COLLATE "C"        PRIMARY KEY,
    request_id text COLLATE "C"        NOT NULL,
    worker     text        NOT NULL,
    source     text COLLATE "C"        NOT NULL,
    percent    integer     NOT NULL,
    at         timestamptz NOT NULL
);
CREATE INDEX progress_of_request ON progress (request_id);
CREATE INDEX progress_by_age ON progress (at);
