"""`python -m services.keyring` runs a keyring; with --make-… it makes its key files instead."""

import argparse
import sys
from pathlib import Path

from plumbing import config, telemetry
from plumbing.clock import SystemClock
from plumbing.kafka import KafkaConnection
from plumbing.process import Stop
from services.keyring.config import KeyringConfig
from services.keyring.keyfiles import KeyFileRefused, make_identity, make_kek
from services.keyring.process import KeyringProcess, no_core_dumps
from services.keyring.store.database import WrongDatabase


def main(arguments: list[str]) -> int:
    no_core_dumps()
    parser = argparse.ArgumentParser(prog="python -m services.keyring", description=__doc__)
    parser.add_argument("--make-kek", type=Path, metavar="PATH")
    parser.add_argument("--make-identity", type=Path, metavar="PATH")
    asked = parser.parse_args(arguments)
    try:
        if asked.make_kek:
            make_kek(asked.make_kek)
        if asked.make_identity:
            make_identity(asked.make_identity)
        return 0 if asked.make_kek or asked.make_identity else run()
    except (KeyFileRefused, WrongDatabase, config.ConfigError) as refusal:
        sys.stderr.write(f"keyring: {refusal}\n")
        return 2


def run() -> int:
    telemetry.configure("keyring")
    settings = config.load(KeyringConfig)
    stop = Stop()
    stop.install()
    connection = KafkaConnection(bootstrap=settings.kafka, client_id=settings.principal)
    with KeyringProcess(settings, connection, SystemClock()) as keyring:
        return keyring.run(stop)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
