"""Times are the server's: a client whose clock is hours off makes the same databases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from inside import Inside, login

from devdb import databases, marker
from devdb.model import Spec

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
CLIENT = """
import json, sys
from datetime import datetime, UTC, timedelta
from devdb import marker, databases
spec = marker.load(sys.argv[1])
made = databases.create(spec, ttl=timedelta(hours=1))
databases.extend(spec, made.name, timedelta(hours=2))
[found] = databases.every(spec)
reaped = databases.reap(spec)
print(json.dumps({
    "now": datetime.now(UTC).isoformat(), "name": found.name, "state": found.state,
    "created": found.created.isoformat(), "expires": found.expires.isoformat(),
    "age": found.age.total_seconds(), "left": found.left.total_seconds(), "reaped": reaped,
}))
"""


@pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime")
@pytest.mark.parametrize("hours", [-5, 5])
def test_a_client_whose_clock_is_off(spec: Spec, inside: Inside, hours: int) -> None:
    marker.save(spec)
    environment = {**os.environ, "LD_PRELOAD": str(LIBRARY), "FAKETIME": f"{hours:+d}h"}
    output = subprocess.run(
        [sys.executable, "-c", CLIENT, spec.name], env=environment, capture_output=True, check=True
    ).stdout
    told = json.loads(output)
    [now] = inside.sql("SELECT now()")
    off = datetime.fromisoformat(told["now"]) - now
    assert abs(off - timedelta(hours=hours)) < timedelta(minutes=1)
    assert abs(datetime.fromisoformat(told["created"]) - now) < timedelta(minutes=1)
    assert abs(datetime.fromisoformat(told["expires"]) - now - timedelta(hours=2)) < timedelta(
        minutes=1
    )
    assert 0 <= told["age"] < 60
    assert 7100 < told["left"] <= 7200
    assert (told["state"], told["reaped"]) == ("ready", [])
    [made] = databases.every(spec)
    assert login(made.direct) == login(made.pooled) == "in"
