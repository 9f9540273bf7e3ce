"""``python -m trading.simulator.server``: started by `crews.run live`, or by hand for a look.

echo '{"port": 8090, "speed": 5}' | (cat; sleep 600) | python -m trading.simulator.server
"""

from __future__ import annotations

import asyncio
import logging
import sys

from pydantic import ValidationError

from trading.errors import SpikeguardError
from trading.simulator.server.config import ExchangeServerConfig
from trading.simulator.server.process import read_config_line, serve


def main() -> int:
    """Exit codes: 0 ended in order, 1 could not start or failed."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        config = ExchangeServerConfig.model_validate_json(read_config_line() or b"{}")
    except ValidationError as error:
        sys.stderr.write(f"the settings on standard input are wrong: {error}\n")
        return 1
    try:
        asyncio.run(serve(config))
    except (SpikeguardError, OSError) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
