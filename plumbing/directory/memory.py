"""A directory of people given by hand; it passes the directory's contract."""

from collections.abc import Callable, Iterable, Mapping

from plumbing.directory.protocol import Person, PersonAmbiguous, TenantUnknown, one_criterion


def _no_fault() -> None:
    pass


class MemoryDirectory:
    """`fault` is called before each question and may raise DirectoryUnavailable."""

    def __init__(
        self,
        people: Mapping[str, Iterable[Person]],
        *,
        administrator_role: str = "admin",
        fault: Callable[[], None] = _no_fault,
    ) -> None:
        self._people = {tenant: list(persons) for tenant, persons in people.items()}
        self._administrator_role = administrator_role
        self.fault = fault

    def find(
        self, tenant: str, *, email: str | None = None, stable_id: str | None = None
    ) -> Person | None:
        one_criterion(email, stable_id)
        people = self._of(tenant)
        if stable_id is not None:
            found = [person for person in people if person.stable_id == stable_id]
        else:
            found = [person for person in people if person.email == email]
        if len(found) > 1:
            raise PersonAmbiguous
        return found[0] if found else None

    def administrators(self, tenant: str) -> int:
        return sum(self._administrator_role in person.roles for person in self._of(tenant))

    def _of(self, tenant: str) -> list[Person]:
        self.fault()
        if tenant not in self._people:
            raise TenantUnknown
        return self._people[tenant]
