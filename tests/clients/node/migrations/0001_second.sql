ALTER TABLE migrated ADD COLUMN name text NOT NULL DEFAULT 'x';
--> statement-breakpoint
CREATE INDEX migrated_name ON migrated (name);
