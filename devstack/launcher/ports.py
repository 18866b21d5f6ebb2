"""Free ports on this machine, remembered so that a restarted stack keeps its addresses."""

from __future__ import annotations

import json
import secrets
import socket
from pathlib import Path

from devstack.launcher.errors import StackError

HOST = "127.0.0.1"
# Below the range from which kernels take the ports of outgoing connections: between our choosing a
# port and the server's binding it, no client socket of this machine can be given it.
LOWEST, HIGHEST = 20_000, 32_000


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def accepts(port: int, *, within: float = 0.5) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection((HOST, port), timeout=within).close()
    except OSError:
        return False
    return True


def require_free(port: int, part: str) -> None:
    if not is_free(port):
        raise StackError(
            "port_in_use",
            f"Port {port}, which {part} wants, is in use by another program.",
            f"Find it with `ss -ltnp sport = :{port}` and stop it, or run `habeas down` and delete "
            "ports.json in the state folder to have new ports chosen.",
        )


class PortBook:
    """Which part has which port, in a file of the state folder."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def all(self) -> dict[str, int]:
        try:
            book: dict[str, int] = json.loads(self._file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            # Unreadable only after a power cut; then ports are chosen anew.
            return {}
        return book

    def port(self, part: str) -> int:
        """The port of this part: the remembered one, or a free one that is remembered from now on."""
        book = self.all()
        if part not in book:
            taken = set(book.values())
            candidates = (LOWEST + secrets.randbelow(HIGHEST - LOWEST) for _ in range(1_000))
            book[part] = next(port for port in candidates if port not in taken and is_free(port))
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft = self._file.with_suffix(".draft")
            draft.write_text(json.dumps(book, indent=1) + "\n", encoding="utf-8")
            draft.replace(self._file)
        return book[part]
