-- The packages that nodes reported last. Many nodes have the same, so that each list is kept once.
CREATE TABLE package_lists (
    digest      TEXT PRIMARY KEY,
    packages    TEXT NOT NULL
);

CREATE TABLE node_packages (
    node        TEXT PRIMARY KEY REFERENCES nodes (name) ON DELETE CASCADE,
    attempt     BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    format      TEXT NOT NULL,
    digest      TEXT NOT NULL REFERENCES package_lists (digest)
);
