"""`python -m services.collectors`: builds collectors from their configuration and runs them."""

import asyncio
import os
import sys

from plumbing import config, telemetry
from plumbing.process import Stop
from services.collectors.config import CollectorsConfig
from services.collectors.process import run


def main() -> int:
    telemetry.configure("collectors")
    settings = config.load(CollectorsConfig)
    stop = Stop()
    stop.install()
    return asyncio.run(run(settings, os.environ, stop))


if __name__ == "__main__":
    sys.exit(main())
