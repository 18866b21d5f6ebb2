"""`python -m devstack.containers secrets|prepare|issuer`, as docker-compose.yml calls it."""

import argparse
import secrets

import uvicorn

from devstack.containers.drawing import draw
from devstack.containers.preparing import prepare
from devstack.containers.settings import IssuerSettings, PrepareSettings
from devstack.issuer import Issuer, Register, signing_key
from devstack.products.loading import PEOPLE
from plumbing.clock import SystemClock
from plumbing.config import load


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m devstack.containers", description=__doc__)
    parser.add_argument("task", choices=("secrets", "prepare", "issuer"))
    match parser.parse_args().task:
        case "secrets":
            for name, value in draw(secrets.token_hex).items():
                print(f"{name}={value}")
        case "prepare":
            prepare(load(PrepareSettings))
        case _:
            issue(load(IssuerSettings))


def issue(settings: IssuerSettings) -> None:
    issuer = Issuer(
        url=settings.url,
        key=signing_key(settings.state),
        register=Register.read(PEOPLE),
        clock=SystemClock(),
    )
    # No access log: addresses and names of people do not belong in it.
    uvicorn.run(
        issuer.application(),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
