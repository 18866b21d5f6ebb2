"""`python -m services.collectors`: builds collectors from their configuration and runs them."""

import asyncio
import os
import sys

from plumbing import config, telemetry
from plumbing.process import Stop
from services.collectors.config import CollectorsConfig
from services.collectors.process import run


async def main() -> None:
    telemetry.configure("collectors")
    settings = config.load(CollectorsConfig)
    stop = Stop()
    stop.install()
    code = await run(settings, os.environ, stop)
    sys.stderr.flush()
    # All of ours is closed by now. Faust and aiokafka leave tasks and a thread behind that do not
    # end while their broker is away, and a tidy exit would wait for them.
    os._exit(code)


if __name__ == "__main__":
    asyncio.run(main())
