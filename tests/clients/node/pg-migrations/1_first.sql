-- Up Migration
CREATE TABLE migrated (id integer PRIMARY KEY);
INSERT INTO migrated VALUES (1);
-- Down Migration
DROP TABLE migrated;
