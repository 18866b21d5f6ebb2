"""How the maintainers' script reads POM files: on a small repository with every trap in it."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import pytest

from devstack.locking import Artifact, Repository

POMS = {
    "app": """
      <parent><groupId>g</groupId><artifactId>parent</artifactId><version>1</version></parent>
      <dependencies>
        <dependency><groupId>g</groupId><artifactId>near</artifactId><version>${near.version}</version>
          <exclusions><exclusion><groupId>g</groupId><artifactId>unwanted</artifactId></exclusion></exclusions>
        </dependency>
        <dependency><groupId>g</groupId><artifactId>managed</artifactId></dependency>
        <dependency><groupId>g</groupId><artifactId>tests</artifactId><version>1</version><scope>test</scope></dependency>
        <dependency><groupId>g</groupId><artifactId>extra</artifactId><version>1</version><optional>true</optional></dependency>
        <dependency><groupId>g</groupId><artifactId>twice</artifactId><version>2</version></dependency>
      </dependencies>""",
    "parent": """
      <properties><near.version>1</near.version></properties>
      <dependencyManagement><dependencies>
        <dependency><groupId>g</groupId><artifactId>bom</artifactId><version>1</version>
          <type>pom</type><scope>import</scope></dependency>
      </dependencies></dependencyManagement>""",
    "bom": """
      <dependencyManagement><dependencies>
        <dependency><groupId>g</groupId><artifactId>managed</artifactId><version>${project.version}</version></dependency>
      </dependencies></dependencyManagement>""",
    "near": """
      <dependencies>
        <dependency><groupId>g</groupId><artifactId>unwanted</artifactId><version>1</version></dependency>
        <dependency><groupId>g</groupId><artifactId>twice</artifactId><version>1</version></dependency>
        <dependency><groupId>g</groupId><artifactId>far</artifactId><version>1</version><scope>runtime</scope></dependency>
      </dependencies>""",
}


class Poms(Repository):
    """The same reader over texts in memory."""

    def read(self: Self, path: str) -> bytes:
        name = Path(path).parts[1]
        return f"<project>{POMS.get(name, '')}</project>".encode()


@pytest.fixture
def resolved() -> set[str]:
    root = Artifact(group="g", name="app", version="1")
    return {f"{one.name}-{one.version}" for one in Poms("https://example.org").resolve([root])}


def test_run_time_dependencies_are_followed_to_the_end(resolved: set[str]) -> None:
    assert {"app-1", "near-1", "far-1"} <= resolved


def test_a_version_may_come_from_a_property_or_from_an_imported_bom_of_the_parent(
    resolved: set[str],
) -> None:
    assert {"near-1", "managed-1"} <= resolved


def test_tests_optional_and_excluded_ones_stay_out(resolved: set[str]) -> None:
    assert not resolved & {"tests-1", "extra-1", "unwanted-1"}


def test_of_two_versions_the_one_nearer_to_the_root_wins(resolved: set[str]) -> None:
    assert "twice-2" in resolved
    assert "twice-1" not in resolved


def test_a_path_follows_mavens_layout() -> None:
    artifact = Artifact(group="org.gaul", name="s3proxy", version="4.1.0", classifier="all")
    assert artifact.path("jar") == "org/gaul/s3proxy/4.1.0/s3proxy-4.1.0-all.jar"
