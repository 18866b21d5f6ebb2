"""Writes lock.json: every jar of the stack by its place on Maven Central and its SHA-256.

For maintainers, `python -m devstack.locking`, when a version below is raised. It reads the POM files
the way Maven does (parents, managed versions, imported BOMs, exclusions, nearest version wins), so
that nobody who only *uses* the stack needs Maven.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import urllib.request
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from xml.etree import ElementTree as ET

from devstack.downloads import LOCK_FILE, MAVEN_CENTRAL

KAFKA = "4.3.1"
S3PROXY = "4.1.0"
# Kafka's own POMs ask for slf4j 1.7; without a binding of that line the broker's log stays empty.
SLF4J = "1.7.36"

_PROPERTY = re.compile(r"\$\{([^}]+)\}")
_CARRIED_SCOPES = frozenset({"compile", "runtime"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    group: str
    name: str
    version: str
    classifier: str = ""

    def path(self, ending: str) -> str:
        folder = "/".join([*self.group.split("."), self.name, self.version])
        middle = f"-{self.classifier}" if self.classifier else ""
        return f"{folder}/{self.name}-{self.version}{middle}.{ending}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    artifact: Artifact
    scope: str
    optional: bool
    exclusions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Pom:
    properties: dict[str, str] = field(default_factory=dict)
    managed: dict[str, Dependency] = field(default_factory=dict)
    dependencies: list[Dependency] = field(default_factory=list)


class Repository:
    """Reads a Maven repository over HTTPS."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self.pom = cache(self._pom)

    def read(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self._url}/{path}", timeout=120) as answer:  # noqa: S310  https only by default
            body: bytes = answer.read()
        return body

    def _pom(self, artifact: Artifact) -> Pom:
        """One POM with its parents and imported BOMs folded in."""
        root = ET.fromstring(self.read(artifact.path("pom")))  # noqa: S314  read by maintainers, from Maven Central
        for node in root.iter():
            node.tag = node.tag.rpartition("}")[2]
        parent = root.find("parent")
        inherited = self.pom(_artifact(parent, {}, {})) if parent is not None else Pom()
        properties = inherited.properties | {
            node.tag: (node.text or "").strip() for node in root.findall("properties/*")
        }
        for prefix in ("project", "pom"):
            properties[f"{prefix}.version"] = artifact.version
            properties[f"{prefix}.groupId"] = artifact.group
        managed = dict(inherited.managed)
        for node in root.findall("dependencyManagement/dependencies/dependency"):
            entry = _dependency(node, properties, {})
            if entry.scope == "import":
                managed = self.pom(entry.artifact).managed | managed
            else:
                managed[_identity(entry.artifact)] = entry
        own = [
            _dependency(node, properties, managed)
            for node in root.findall("dependencies/dependency")
        ]
        return Pom(properties, managed, [*inherited.dependencies, *own])

    def resolve(self, roots: list[Artifact]) -> list[Artifact]:
        """Everything the roots need at run time; of two versions the one nearer to a root wins."""
        chosen: dict[str, Artifact] = {}
        queue = deque((root, frozenset[str]()) for root in roots)
        while queue:
            artifact, excluded = queue.popleft()
            identity = _identity(artifact)
            if identity in chosen or _excludes(excluded, artifact):
                continue
            chosen[identity] = artifact
            queue.extend(
                (wanted.artifact, excluded | wanted.exclusions)
                for wanted in self.pom(artifact).dependencies
                if wanted.scope in _CARRIED_SCOPES and not wanted.optional
            )
        return sorted(chosen.values(), key=lambda artifact: artifact.path("jar"))


def _identity(artifact: Artifact) -> str:
    return f"{artifact.group}:{artifact.name}:{artifact.classifier}"


def _excludes(excluded: frozenset[str], artifact: Artifact) -> bool:
    names = {f"{artifact.group}:{artifact.name}", f"{artifact.group}:*", "*:*"}
    return not excluded.isdisjoint(names)


def _text(node: ET.Element, tag: str, properties: dict[str, str]) -> str:
    text = (node.findtext(tag) or "").strip()
    while _PROPERTY.search(text):
        text = _PROPERTY.sub(lambda found: properties[found[1]], text)
    return text


def _artifact(
    node: ET.Element, properties: dict[str, str], managed: dict[str, Dependency]
) -> Artifact:
    bare = Artifact(
        group=_text(node, "groupId", properties),
        name=_text(node, "artifactId", properties),
        version=_text(node, "version", properties),
        classifier=_text(node, "classifier", properties),
    )
    known = managed.get(_identity(bare))
    if bare.version or known is None:
        return bare
    return known.artifact


def _dependency(
    node: ET.Element, properties: dict[str, str], managed: dict[str, Dependency]
) -> Dependency:
    artifact = _artifact(node, properties, managed)
    known = managed.get(_identity(artifact))
    return Dependency(
        artifact=artifact,
        scope=_text(node, "scope", properties) or (known.scope if known else "compile"),
        optional=_text(node, "optional", properties) == "true",
        exclusions=frozenset(
            f"{_text(one, 'groupId', properties)}:{_text(one, 'artifactId', properties)}"
            for one in node.findall("exclusions/exclusion")
        ),
    )


def _locked(repository: Repository, artifacts: list[Artifact]) -> list[dict[str, str]]:
    def entry(artifact: Artifact) -> dict[str, str]:
        path = artifact.path("jar")
        return {"path": path, "sha256": hashlib.sha256(repository.read(path)).hexdigest()}

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(entry, artifacts))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--maven-url", default=MAVEN_CENTRAL)
    repository = Repository(arguments.parse_args().maven_url)
    kafka = repository.resolve(
        [
            Artifact(group="org.apache.kafka", name="kafka_2.13", version=KAFKA),
            Artifact(group="org.apache.kafka", name="kafka-tools", version=KAFKA),
            Artifact(group="org.slf4j", name="slf4j-simple", version=SLF4J),
        ]
    )
    s3proxy = Artifact(
        group="org.gaul", name="s3proxy", version=S3PROXY, classifier="jar-with-dependencies"
    )
    lock = {"kafka": _locked(repository, kafka), "s3proxy": _locked(repository, [s3proxy])}
    LOCK_FILE.write_text(json.dumps(lock, indent=1) + "\n", encoding="utf-8")
    print({part: len(jars) for part, jars in lock.items()}, file=sys.stderr)


if __name__ == "__main__":
    main()
