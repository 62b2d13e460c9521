"""The core of what every engine promises, of one on another machine."""

from __future__ import annotations

from pathlib import Path

from contract import test_life
from contract.test_life import (
    test_a_changed_pooler_leaves_postgres_running_and_other_changes_take_effect,
    test_find_and_list_know_it_while_it_lives,
    test_logs_have_lines_of_both_servers_and_follow_what_comes,
    test_start_gives_a_sign_of_life_in_time,
    test_start_tells_its_steps_in_order_and_ends_ready,
    test_stop_and_destroy_are_no_ops_when_nothing_is_there,
)

from devdb.engines.docker.engine import DockerEngine
from devdb.model import Spec, Step

__all__ = [
    "test_a_changed_pooler_leaves_postgres_running_and_other_changes_take_effect",
    "test_find_and_list_know_it_while_it_lives",
    "test_logs_have_lines_of_both_servers_and_follow_what_comes",
    "test_start_gives_a_sign_of_life_in_time",
    "test_start_tells_its_steps_in_order_and_ends_ready",
    "test_stop_and_destroy_are_no_ops_when_nothing_is_there",
]


def test_cancelling_a_fresh_start_undoes_it(engine: DockerEngine, home: Path, spec: Spec) -> None:
    test_life.test_cancelling_a_fresh_start_undoes_it(engine, home, spec, Step.LOGIN)
