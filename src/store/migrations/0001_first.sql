-- Plain SQL that SQLite and PostgreSQL both run: TEXT and BIGINT only. Times are nanoseconds since 1970 (UTC), JSON is TEXT.

CREATE TABLE nodes (
    name        TEXT PRIMARY KEY,
    address     TEXT UNIQUE,
    arch        TEXT NOT NULL,
    firmware    TEXT,
    uuid        TEXT UNIQUE,
    serial      TEXT,
    member_of   TEXT NOT NULL,
    variables   TEXT NOT NULL,
    facts       TEXT NOT NULL
);

CREATE TABLE node_macs (
    mac         TEXT PRIMARY KEY,
    node        TEXT NOT NULL REFERENCES nodes (name) ON DELETE CASCADE,
    position    BIGINT NOT NULL,
    UNIQUE (node, position)
);

CREATE TABLE discovered (
    mac         TEXT PRIMARY KEY,
    uuid        TEXT,
    arch        TEXT NOT NULL,
    firmware    TEXT NOT NULL,
    address     TEXT,
    facts       TEXT NOT NULL,
    first_seen  BIGINT NOT NULL,
    last_seen   BIGINT NOT NULL
);
CREATE INDEX discovered_by_age ON discovered (last_seen);

CREATE TABLE group_variables (
    name        TEXT PRIMARY KEY,
    variables   TEXT NOT NULL
);

CREATE TABLE assignments (
    node        TEXT PRIMARY KEY REFERENCES nodes (name) ON DELETE CASCADE,
    profile     TEXT NOT NULL,
    snapshot    TEXT
);

-- Numbers that are never given twice, not even after what bore them is gone: an attempt's id is in tokens and URLs.
CREATE TABLE counters (
    name        TEXT PRIMARY KEY,
    value       BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('attempt', 0);

CREATE TABLE attempts (
    id          BIGINT PRIMARY KEY,
    node        TEXT NOT NULL REFERENCES nodes (name) ON DELETE CASCADE,
    number      BIGINT NOT NULL,
    ordered     TEXT NOT NULL,
    state       TEXT NOT NULL,
    progress    TEXT NOT NULL,
    clocks      TEXT NOT NULL,
    armed_at    BIGINT NOT NULL,
    revision    BIGINT NOT NULL,
    log_full    BIGINT NOT NULL,
    UNIQUE (node, number)
);

CREATE TABLE log_lines (
    attempt     BIGINT NOT NULL REFERENCES attempts (id) ON DELETE CASCADE,
    seq         BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    source      TEXT NOT NULL,
    text        TEXT NOT NULL,
    PRIMARY KEY (attempt, seq)
);

CREATE TABLE leases (
    mac         TEXT PRIMARY KEY,
    address     TEXT NOT NULL UNIQUE,
    expires     BIGINT NOT NULL
);
