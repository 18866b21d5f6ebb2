"""A real SMTP server that delivers into a folder, one .eml file a letter: `python -m devstack.mail`.

It answers like servers out there do: the mailbox `nobody@…` does not exist (550), and `later@…` is
greylisted (451). Letters can be received with either answer in mind without inventing a fake.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import signal
import sys
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from devstack.launcher import HOST, Process, accepts

LARGEST_LETTER = 10 * 1024 * 1024


def process(*, port: int, folder: Path, root: Path) -> Process:
    return Process(
        name="mail",
        argv=(sys.executable, "-m", "devstack.mail", "--port", str(port), "--folder", str(folder)),
        ready=lambda: accepts(port),
        ports=(port,),
        stop_within=5,
        folder=root,
    )


def letters(folder: Path) -> list[EmailMessage]:
    """Every letter in the folder, in the order of arrival."""
    return [
        message_from_bytes(file.read_bytes(), _class=EmailMessage, policy=policy.default)
        for file in sorted(folder.glob("*.eml"))
    ]


class Mailboxes:
    """The handler behind aiosmtpd; the method names are its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._count = len(list(folder.glob("*.eml")))

    async def handle_RCPT(  # noqa: N802
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        match address.partition("@")[0]:
            case "nobody":
                return "550 5.1.1 No such mailbox"
            case "later":
                return "451 4.7.1 Greylisted, try again later"
            case _:
                envelope.rcpt_tos.append(address)
                return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        self._count += 1
        name = f"{self._count:06d}-{secrets.token_hex(3)}"
        draft = self._folder / f"{name}.draft"
        draft.write_bytes(envelope.original_content or b"")
        # Whoever watches the folder never sees half a letter.
        draft.rename(self._folder / f"{name}.eml")
        return f"250 2.0.0 Kept as {name}"


async def serve(port: int, folder: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    mailboxes = Mailboxes(folder)
    server = await loop.create_server(
        lambda: SMTP(mailboxes, hostname="localhost", data_size_limit=LARGEST_LETTER, loop=loop),
        host=HOST,
        port=port,
    )
    await stop.wait()
    server.close()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--folder", type=Path, required=True)
    given = arguments.parse_args()
    asyncio.run(serve(given.port, given.folder))


if __name__ == "__main__":
    main()
