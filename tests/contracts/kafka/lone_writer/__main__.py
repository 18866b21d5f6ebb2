"""A process that writes transactions until a failpoint stops it: `<bootstrap> <id> <topic>`.

It says on standard output how far it came, a word a line, and leaves with 75 when it is fenced.
"""

import os
import sys

from plumbing import failpoints
from plumbing.kafka import BrokerError, Fenced, KafkaConnection, Outgoing

_BATCHES = 3


def main(bootstrap: str, transactional_id: str, topic: str) -> int:
    failpoints.arm(os.environ["HABEAS_FP"])
    writer = KafkaConnection(bootstrap=bootstrap, client_id="lone").writer(transactional_id)
    writer.fence()
    print("others fenced", flush=True)
    for number in range(_BATCHES):
        values = [b"lone %d.%d" % (number, part) for part in range(5)]
        try:
            writer.write([Outgoing(topic=topic, partition=0, value=value) for value in values])
        except BrokerError as error:
            print(type(error).__name__, error.code, flush=True)
            return 75 if isinstance(error, Fenced) else 1
        print("wrote", number, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
