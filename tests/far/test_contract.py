"""The core of what every engine promises, of one on another machine."""

from contract.test_life import (
    test_a_changed_pooler_leaves_postgres_running_and_other_changes_take_effect,
    test_a_second_start_attaches_and_cancelling_it_leaves_the_instance_running,
    test_cancelling_a_fresh_start_undoes_it,
    test_find_and_list_know_it_while_it_lives,
    test_logs_have_lines_of_both_servers_and_follow_what_comes,
    test_start_tells_its_steps_in_order_and_in_time_and_ends_ready,
    test_stop_and_destroy_are_no_ops_when_nothing_is_there,
)

__all__ = [
    "test_a_changed_pooler_leaves_postgres_running_and_other_changes_take_effect",
    "test_a_second_start_attaches_and_cancelling_it_leaves_the_instance_running",
    "test_cancelling_a_fresh_start_undoes_it",
    "test_find_and_list_know_it_while_it_lives",
    "test_logs_have_lines_of_both_servers_and_follow_what_comes",
    "test_start_tells_its_steps_in_order_and_in_time_and_ends_ready",
    "test_stop_and_destroy_are_no_ops_when_nothing_is_there",
]
