"""The native engine: Postgres and PgBouncer as ordinary process trees, no Docker."""
