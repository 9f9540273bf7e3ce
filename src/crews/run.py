"""``python -m crews.run`` and ``spikeguard``: the command line.

Nothing heavy is imported here or by the quick commands; `live` and `replay` import what they run.
"""

from __future__ import annotations

import logging
import sys


def main() -> None:
    """Run the command line and exit with its code (``crews.cli.exit_codes``)."""
    from crews.cli.app import run

    # Commands tell people in their own words what happened; log lines are the processes' own.
    logging.getLogger().addHandler(logging.NullHandler())
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
