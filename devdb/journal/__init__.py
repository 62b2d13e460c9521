"""What the servers of an instance wrote, as entries in time order; pure, it reads nothing."""

from __future__ import annotations

from devdb.journal.entry import FOLLOWING, SEVERE, Entry
from devdb.journal.merging import as_they_come, in_order
from devdb.journal.reading import Zones, zones

__all__ = ["FOLLOWING", "SEVERE", "Entry", "Zones", "as_they_come", "in_order", "zones"]
