"""A real S3 server: s3proxy over a folder, with keys of its own and one bucket."""

from __future__ import annotations

import http.client
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from devstack.launcher import HOST, PortBook, Process, no_disk

BUCKET = "habeas"
# With the full compiler, unlike the broker: signatures are SHA-256 over every uploaded byte, and only
# it knows the processor's instructions for that (uploads are twice as fast).
JAVA_FLAGS = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:-UsePerfData")
# A signed part is held in memory while its signature is checked; larger ones are refused.
LARGEST_PART = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Keys:
    key: str
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    folder: Path
    java: Path
    jars: tuple[Path, ...]
    ports: PortBook

    @property
    def port(self) -> int:
        return self.ports.port("objects")

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def process(self) -> Process:
        return Process(
            name="objects",
            argv=(
                str(self.java),
                *JAVA_FLAGS,
                "org.gaul.s3proxy.Main",
                "--properties",
                str(self._properties_file),
            ),
            env={"CLASSPATH": os.pathsep.join(str(jar) for jar in self.jars)},
            prepare=self._configure,
            ready=self._answers,
            ports=(self.port,),
        )

    def keys(self) -> Keys:
        """The access keys, made at their first use."""
        file = self.folder / "keys.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return Keys(**json.loads(file.read_text("ascii")))
        except OSError as error:
            raise no_disk(self.folder, error) from error
        keys = {"key": secrets.token_hex(10), "secret": secrets.token_hex(20)}
        with os.fdopen(opened, "w", encoding="ascii") as new:
            json.dump(keys, new)
        return Keys(**keys)

    @property
    def _properties_file(self) -> Path:
        return self.folder / "s3proxy.properties"

    def _configure(self) -> None:
        keys = self.keys()
        data = self.folder / "data"
        settings = {
            "s3proxy.endpoint": self.url,
            "s3proxy.authorization": "aws-v4",
            "s3proxy.identity": keys.key,
            "s3proxy.credential": keys.secret,
            "s3proxy.v4-max-non-chunked-request-size": LARGEST_PART,
            "jclouds.provider": "filesystem-nio2",
            "jclouds.filesystem.basedir": data,
            "jclouds.identity": "local",
            "jclouds.credential": "local",
        }
        try:
            # To this back end a bucket is a folder, so the bucket is there before the server is.
            (data / BUCKET).mkdir(parents=True, exist_ok=True)
            self._properties_file.touch(mode=0o600)
            text = "\n".join(f"{name}={value}" for name, value in settings.items())
            self._properties_file.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise no_disk(self.folder, error) from error

    def _answers(self) -> bool:
        asked = http.client.HTTPConnection(HOST, self.port, timeout=1)
        try:
            asked.request("GET", "/")
            return asked.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            asked.close()
