"""What must be there before a service starts: databases, topics, a bucket, and three key files.

Whatever is there already is left as it is, so this may run before every start.
"""

from devstack.containers.settings import PrepareSettings
from devstack.installation import OWN_DATABASES
from devstack.postgres import create_database
from devstack.products.loading import databases, load
from devstack.services import PRODUCT_SERVICE, SOURCES
from plumbing.kafka import KafkaConnection, TopicSpec
from plumbing.objects import S3Location, S3Objects
from proofs.keys import SigningKey
from schemas.topics import catalogue
from services.keyring.keyfiles import make_identity, make_kek


def prepare(settings: PrepareSettings) -> None:
    _databases(settings)
    _topics(settings)
    _bucket(settings)
    _keys(settings)


def _databases(settings: PrepareSettings) -> None:
    dsn_for = settings.endpoints.postgres_dsn
    for database in (*OWN_DATABASES, *databases()):
        create_database(dsn_for("postgres"), database)
    load(dsn_for)


def _topics(settings: PrepareSettings) -> None:
    specs = [
        TopicSpec(name=topic.name, partitions=settings.partitions, config=topic.settings())
        for topic in catalogue(SOURCES, [PRODUCT_SERVICE])
    ]
    admin = KafkaConnection(bootstrap=settings.kafka, client_id="prepare").admin()
    admin.ensure_topics(specs)
    admin.close()


def _bucket(settings: PrepareSettings) -> None:
    location = S3Location(
        endpoint=settings.s3_url,
        bucket=settings.s3_bucket,
        access_key=settings.s3_key,
        secret_key=settings.s3_secret,
    )
    S3Objects(location).ensure_bucket()


def _keys(settings: PrepareSettings) -> None:
    if not settings.kek.exists():
        make_kek(settings.kek)
    if not settings.identity.exists():
        make_identity(settings.identity)
    if not settings.signing_key.exists():
        settings.signing_key.touch(mode=0o600)
        settings.signing_key.write_bytes(SigningKey.generate().pem())
