-- Reinstallations of many nodes in waves.
CREATE TABLE rollouts (
    id          BIGINT PRIMARY KEY,
    revision    BIGINT NOT NULL,
    state       TEXT NOT NULL,
    rollout     TEXT NOT NULL
);

INSERT INTO counters (name, value) VALUES ('rollout', 0);
