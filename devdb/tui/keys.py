"""The keys of the dashboard; the line at its foot, its help and its command palette read them.

Those of a pane hold while it has the focus, and are about its chosen row.
"""

from __future__ import annotations

from textual.binding import Binding

KEYS = (
    Binding("t", "show('t')", "TCP URL", tooltip="Show and copy the URL straight to Postgres"),
    Binding("p", "show('p')", "Pooled URL", tooltip="Show and copy the URL through PgBouncer"),
    Binding(
        "h", "http", "HTTP URL", tooltip="Show and copy the HTTP URL; start its gateway if off"
    ),
    Binding("f", "choose_client", "For client", tooltip="Choose the client they are spelled for"),
    Binding("e", "write_env", "Write .env", tooltip="Write .env in this directory, as devdb env"),
    Binding("s", "psql", "psql", tooltip="Open psql in the chosen database; leaving it comes back"),
    Binding("l", "logs", "Logs", tooltip="Follow what the servers write"),
    Binding("r", "restart", "Restart", tooltip="Stop and start the instance"),
    Binding("d", "detach", "Detach", tooltip="Leave, and leave the instance running"),
    Binding("q", "stop", "Quit & stop", tooltip="Leave, and stop it: it was started here"),
    Binding("q", "detach", "Quit (leaves it running)", tooltip="Leave: it was running before"),
    Binding("r", "anew", "Make it anew", tooltip="Make it anew, empty: it was removed"),
    Binding("q", "leave", "Quit", tooltip="Leave: it was removed, there is nothing to stop"),
    Binding("d", "leave", "Quit", show=False),
    Binding("n", "make", "New temporary", tooltip="Make a database that is gone in 24 h; asks how"),
    Binding("i", "instances", "Instances", tooltip="All your instances: open, start, stop them"),
    Binding("question_mark", "help", "Help", tooltip="Show this"),
    Binding("escape", "mask", "Hide the password", show=False, tooltip="Mask the URLs again"),
)

OF_DATABASES = (
    Binding("enter", "urls", "Copy its URL", tooltip="Copy the chosen database's URL, show both"),
    Binding("plus", "extend", "Extend", tooltip="Let the chosen temporary database live longer"),
    Binding("c", "claim", "Claim", tooltip="Make the chosen temporary database permanent"),
    Binding("x", "drop", "Drop", tooltip="Drop the chosen temporary database; asks"),
)
OF_ACTIVITY = (
    Binding("enter", "whole", "Whole query", tooltip="Show the chosen session, its query whole"),
    Binding("y", "copy_query", "Copy query", tooltip="Copy the chosen session's query"),
    Binding("C", "cancel", "Cancel query", tooltip="Cancel what the chosen session runs; asks"),
    Binding("K", "end", "End session", tooltip="End the chosen session; asks"),
    Binding("space", "pause", "Pause", tooltip="Hold the view of the sessions, or let it go on"),
)
