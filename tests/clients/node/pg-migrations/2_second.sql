-- Up Migration
ALTER TABLE migrated ADD COLUMN name text NOT NULL DEFAULT 'x';
CREATE INDEX migrated_name ON migrated (name);
-- Down Migration
ALTER TABLE migrated DROP COLUMN name;
