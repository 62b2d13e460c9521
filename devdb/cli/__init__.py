"""The command line: words in, exit code out."""

from __future__ import annotations


def main() -> None:
    """Run the command in `sys.argv`; ends the process."""
    try:
        from devdb.cli.boundary import main as run

        run()
    except KeyboardInterrupt:  # while the imports were under way
        raise SystemExit(130) from None
