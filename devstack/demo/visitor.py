"""A person with an access token and HTTP, nothing else: what they can do, anybody can."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx2

PATIENCE_S: Final = 120.0
ENDED: Final = frozenset({"COMPLETED", "FAILED", "CANCELLED", "REJECTED"})


class DemoFailedError(Exception):
    """Something is not as it should be; the sentence says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the API and the issuer are."""

    api: str
    issuer: str


class Visitor:
    """Signed in as one person; a new key for every wish, so nothing is done twice."""

    def __init__(self, place: Place, username: str, password: str) -> None:
        self._client = httpx2.Client(base_url=place.api, timeout=30)
        granted = httpx2.post(
            f"{place.issuer}/token",
            data={"grant_type": "password", "username": username, "password": password},
            timeout=10,
        )
        if granted.status_code != httpx2.codes.OK:
            raise DemoFailedError("The issuer gave no access token.")
        self._client.headers["Authorization"] = f"Bearer {granted.json()['access_token']}"

    def post(self, path: str, body: Mapping[str, Any] | None, key: str) -> Mapping[str, Any]:
        """What the API answered to a wish; the position it was decided at is in `position`."""
        answer = self._client.post(path, json=body, headers={"Idempotency-Key": key})
        if not answer.is_success:
            problem = answer.json()
            raise DemoFailedError(f"{path.rpartition('/')[2]}: {problem.get('code')}")
        answered: Mapping[str, Any] = answer.json()["data"]
        return answered

    def get(self, path: str, *, position: str = "") -> Any:
        headers = {"Habeas-Position": position} if position else {}
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self._client.get(path, headers=headers)
            if answer.status_code != httpx2.codes.SERVICE_UNAVAILABLE:
                break
            if time.monotonic() > deadline:
                raise DemoFailedError("The views did not catch up.")
        if not answer.is_success:
            raise DemoFailedError(f"{path.rpartition('/')[2]}: {answer.json().get('code')}")
        return answer.json()["data"]

    def follow(self, reference: str) -> Iterator[Mapping[str, Any]]:
        """Live progress, until the request has ended; taken up again where a stream breaks off."""
        path = f"/api/v1/privacy/requests/{reference}/events"
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with self._client.stream("GET", path, timeout=PATIENCE_S) as stream:
                for line in stream.iter_lines():
                    if line.startswith("data:"):
                        body: Mapping[str, Any] = json.loads(line.removeprefix("data:"))
                        yield body
                        if body["state"] in ENDED:
                            return
        raise DemoFailedError(f"{reference} did not end in {PATIENCE_S:.0f} seconds.")

    def until(
        self, reference: str, holds: Callable[[Mapping[str, Any]], bool], what: str
    ) -> Mapping[str, Any]:
        """The request, once something holds of it."""
        for body in self.follow(reference):
            if holds(body):
                return body
            if body["state"] in ENDED:
                break
        raise DemoFailedError(f"{reference} ended before {what}.")

    def download(self, path: str) -> httpx2.Response:
        return self._client.get(path)

    def close(self) -> None:
        self._client.close()
