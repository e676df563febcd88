-- What diskless nodes need the head to keep for them.

-- The last sign of life of a running node.
CREATE TABLE sightings (
    node        TEXT PRIMARY KEY REFERENCES nodes (name) ON DELETE CASCADE,
    attempt     BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    uptime      BIGINT NOT NULL,
    version     TEXT NOT NULL
);

-- ssh host keys, which stay the same over reboots.
CREATE TABLE host_keys (
    node        TEXT NOT NULL REFERENCES nodes (name) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    private     TEXT NOT NULL,
    public      TEXT NOT NULL,
    PRIMARY KEY (node, name)
);
