"""The native engine: Postgres and PgBouncer as ordinary process trees, no Docker."""

from __future__ import annotations

from devdb.engines.native.engine import NativeEngine

__all__ = ["NativeEngine"]
