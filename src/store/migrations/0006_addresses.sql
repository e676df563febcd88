-- A number that grows at least with every change of a node's reserved address, whoever makes it: all of them are asked for again and again by nodes that
-- boot, and read anew only when it has grown. The triggers are in SQLite's words alone.

INSERT INTO counters (name, value) VALUES ('addresses', 0);
CREATE TRIGGER addresses_added AFTER INSERT ON nodes BEGIN UPDATE counters SET value = value + 1 WHERE name = 'addresses'; END;
CREATE TRIGGER addresses_changed AFTER UPDATE OF name, address ON nodes BEGIN UPDATE counters SET value = value + 1 WHERE name = 'addresses'; END;
CREATE TRIGGER addresses_removed AFTER DELETE ON nodes BEGIN UPDATE counters SET value = value + 1 WHERE name = 'addresses'; END;
