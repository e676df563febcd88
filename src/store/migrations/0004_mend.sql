-- What a head needs to mend installations by itself, and to tell of it.

-- What has happened; the oldest go first.
CREATE TABLE events (
    seq         BIGINT PRIMARY KEY,
    at          BIGINT NOT NULL,
    node        TEXT,
    attempt     BIGINT,
    what        TEXT NOT NULL,
    text        TEXT NOT NULL
);
CREATE INDEX events_by_age ON events (at);

-- What is to be done outside: written with the state that wants it, and taken out when it is done.
CREATE TABLE outbox (
    id          BIGINT PRIMARY KEY,
    node        TEXT REFERENCES nodes (name) ON DELETE CASCADE,
    kind        TEXT NOT NULL,
    work        TEXT NOT NULL,
    due         BIGINT NOT NULL,
    tries       BIGINT NOT NULL
);
CREATE INDEX outbox_by_due ON outbox (due);

-- How each node is switched on and off, with the credentials for that.
CREATE TABLE power (
    node        TEXT PRIMARY KEY REFERENCES nodes (name) ON DELETE CASCADE,
    settings    TEXT NOT NULL
);

INSERT INTO counters (name, value) VALUES ('event', 0);
INSERT INTO counters (name, value) VALUES ('outbox', 0);
