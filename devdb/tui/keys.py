"""The keys of the dashboard; the line at its foot, its help and its command palette read them."""

from __future__ import annotations

from textual.binding import Binding

KEYS = (
    Binding("t", "show('t')", "TCP URL", tooltip="Show and copy the URL straight to Postgres"),
    Binding("p", "show('p')", "Pooled URL", tooltip="Show and copy the URL through PgBouncer"),
    Binding("f", "choose_client", "For client", tooltip="Choose the client they are spelled for"),
    Binding("e", "write_env", "Write .env", tooltip="Write .env in this directory, as devdb env"),
    Binding("s", "psql", "psql", tooltip="Open psql here; leaving it comes back"),
    Binding("l", "logs", "Logs", tooltip="Follow what the servers write"),
    Binding("r", "restart", "Restart", tooltip="Stop and start the instance"),
    Binding("d", "detach", "Detach", tooltip="Leave, and leave the instance running"),
    Binding("q", "stop", "Quit & stop", tooltip="Leave, and stop it: it was started here"),
    Binding("q", "detach", "Quit (leaves it running)", tooltip="Leave: it was running before"),
    Binding("n", "make", "New temporary", tooltip="Make a database that is gone in 24 h"),
    Binding("c", "claim", "Claim", tooltip="Make the chosen temporary database permanent"),
    Binding("x", "drop", "Drop", tooltip="Drop the chosen temporary database; asks"),
    Binding("enter", "urls", "URLs", tooltip="Show both URLs of the chosen temporary database"),
    Binding("question_mark", "help", "Help", tooltip="Show this"),
    Binding("escape", "mask", "Hide the password", show=False, tooltip="Mask the URLs again"),
)
