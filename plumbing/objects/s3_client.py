"""Where a bucket is, and the boto3 client that reaches it, with every default we depend on set."""

from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from plumbing.config import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Location:
    """Where a bucket is. `public_endpoint` is what presigned URLs name, if browsers see another."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: Secret
    region: str = "us-east-1"
    public_endpoint: str | None = None
    # Some stores refuse the header; then the transport's own checks have to do.
    sha256_checksums: bool = True


def client(location: S3Location, endpoint: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=location.region,
        aws_access_key_id=location.access_key,
        aws_secret_access_key=location.secret_key.reveal(),
        config=Config(
            signature_version="s3v4",
            s3={
                "addressing_style": "path",
                # The signed checksum header binds the body already; hashing it once more costs a
                # quarter of an upload's time.
                "payload_signing_enabled": not location.sha256_checksums,
            },
            connect_timeout=3,
            read_timeout=30,
            # We try again ourselves, with one budget for an operation whatever broke.
            retries={"total_max_attempts": 1},
            # boto3's new default is a CRC in a trailer, which not every store takes; we send
            # SHA-256 in a header where it matters.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
