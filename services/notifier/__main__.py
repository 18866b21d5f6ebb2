"""`python -m services.notifier`: builds a notifier from its configuration and runs it."""

import os
import sys

from logbook.desk import Desk
from logbook.following import Follower, Following
from logbook.orderbook import OrderBook
from logbook.reporting import Reporter
from plumbing import config, telemetry
from plumbing.clock import SystemClock
from plumbing.kafka import KafkaConnection
from plumbing.mail import Encryption, SmtpMailer, SmtpServer
from plumbing.process import Stop
from plumbing.vault import HttpVault
from rights.orders import SendNotice
from services.notifier.config import NotifierConfig
from services.notifier.notifying import Notifier


def main() -> int:
    telemetry.configure("notifier")
    settings = config.load(NotifierConfig)
    stop = Stop()
    stop.install()
    clock = SystemClock()
    connection = KafkaConnection(bootstrap=settings.kafka, client_id=settings.principal)
    producer = connection.producer()
    reporter = Reporter(worker="notifier", clock=clock, entropy=os.urandom)
    book = OrderBook(lambda order: isinstance(order, SendNotice))
    follower = Follower(connection, range(settings.partitions), log_id=settings.log_id)
    following = Following(follower, book.apply)
    following.start()
    group = connection.group("notifier", settings.instance)
    server = SmtpServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        sender=settings.sender,
        encryption=Encryption(settings.smtp_encryption),
    )
    notifier = Notifier(
        desk=Desk(group, producer, following, book, reporter),
        producer=producer,
        reporter=reporter,
        vault=HttpVault(settings.keyring_url, settings.keyring_token),
        mailer=SmtpMailer(server, clock),
        pages_url=settings.pages_url,
    )
    notifier.run(stop)
    notifier.desk.close()
    following.stop()
    producer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
