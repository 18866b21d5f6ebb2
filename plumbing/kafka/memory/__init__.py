"""The broker inside one process: fast and repeatable, for tests and the simulation.

    broker          MemoryBroker, its connections, its topics
    writing reading the parts that `protocols` describes
    cluster         the state they share, under one lock, on one clock
    partition       records, control records, the stable end
    transactions    epochs, fencing, the 15 seconds
    groups          membership and shares

It models one broker that never fails. What it promises is held against the real one by
`tests/contracts/kafka`; it does not model replication, retention by time, or access rules.
"""

from plumbing.kafka.memory.broker import MemoryBroker, MemoryConnection
from plumbing.kafka.memory.reading import MemoryGroup

__all__ = ["MemoryBroker", "MemoryConnection", "MemoryGroup"]
