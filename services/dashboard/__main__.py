"""`python -m services.dashboard`: builds the dashboard from its configuration and serves it."""

import sys

from plumbing import config, telemetry
from plumbing.clock import SystemClock
from plumbing.process import Stop, run_threads
from plumbing.web import serve
from services.dashboard.building import build
from services.dashboard.config import DashboardConfig


def main() -> int:
    telemetry.configure("dashboard")
    settings = config.load(DashboardConfig)
    stop = Stop()
    stop.install()
    app = build(settings, SystemClock())
    return run_threads(stop, {"web": lambda: serve(app, settings.host, settings.port, stop)})


if __name__ == "__main__":
    sys.exit(main())
