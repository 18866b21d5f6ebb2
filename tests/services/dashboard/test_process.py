"""`python -m services.dashboard` as it is run: settings, a process, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import httpx2
import pytest

from plumbing.config import ConfigError, Secret, describe, load
from services.dashboard.config import DashboardConfig
from tests.services.dashboard.stage import NOWHERE

TOLD = {
    "DASHBOARD_REQUEST_API": NOWHERE,
    "DASHBOARD_ISSUER": NOWHERE,
    "DASHBOARD_SESSION_KEY": "5e551017" * 8,
}


def config(**changes: Any) -> DashboardConfig:
    told: dict[str, Any] = {"request_api": NOWHERE, "issuer": NOWHERE}
    return DashboardConfig(session_key=Secret("5e551017" * 8), **told | changes)


def test_pages_for_other_machines_are_served_by_https_only() -> None:
    for refused in ({"host": "0.0.0.0"}, {"pages_url": "http://privacy.example.org"}):  # noqa: S104
        with pytest.raises(ValueError, match="https"):
            config(**refused)
    assert config(pages_url="https://Privacy.example.org/x").origin == "https://privacy.example.org"
    assert config(host="::1").own_url == "http://[::1]:8081"
    assert config(pages_url="http://localhost:99").is_secure is False


def test_a_short_session_key_stops_the_start_and_none_is_shown() -> None:
    with pytest.raises(ConfigError, match="session key"):
        load(DashboardConfig, environ=TOLD | {"DASHBOARD_SESSION_KEY": "short"})
    assert describe(load(DashboardConfig, environ=TOLD))["session_key"] == "***"


def test_it_says_when_it_is_ready_and_ends_when_asked_to() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "services.dashboard"],
        env={**os.environ, **TOLD, "DASHBOARD_PORT": "0"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    try:
        ready = json.loads(process.stderr.readline())
        assert ready["event"] == "ready"
        assert httpx2.get(f"http://127.0.0.1:{ready['port']}/livez").text == "ok"
    finally:
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        process.stderr.close()
        code = process.wait(30)
    assert code == 0
