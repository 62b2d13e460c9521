"""The command line: words in, exit code out."""

from __future__ import annotations


def main() -> None:
    """Run the command in `sys.argv`; ends the process."""
    from devdb.cli.boundary import main as run

    run()
