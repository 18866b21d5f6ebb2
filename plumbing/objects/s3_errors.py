"""boto3's many exceptions as the store's two: not now, or not ever. Anything else is a bug."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import (
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)
from botocore.exceptions import (
    ConnectionError as NotConnectedError,
)

from plumbing.objects.protocol import NO_SUCH_KEY, StoreError, StoreRefused, StoreUnavailable

# The connection ended within a body.
BROKEN_OFF: Final = (HTTPClientError, IncompleteReadError, ResponseStreamingError)
_NOT_NOW: Final = (*BROKEN_OFF, NotConnectedError)

# 4xx answers that S3 documents as passing: another request is in the way, or too many are.
_PASSING_STATUS: Final = frozenset({408, 409, 429})
_LASTING_CONFLICTS: Final = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})


@contextmanager
def in_store_words() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        raise _translated(error) from error
    except _NOT_NOW as error:
        raise StoreUnavailable(type(error).__name__) from error


def _translated(error: ClientError) -> StoreError:
    code = str(error.response.get("Error", {}).get("Code", "Unknown"))
    # botocore gives a 200 whose body is an error the status 500 before it comes here.
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
    if code == "404":
        # A HEAD has no body, so S3 cannot say more.
        code = NO_SUCH_KEY
    if status in _PASSING_STATUS and code not in _LASTING_CONFLICTS:
        return StoreUnavailable(code)
    return StoreRefused(code) if 300 <= status < 500 else StoreUnavailable(code)  # noqa: PLR2004
