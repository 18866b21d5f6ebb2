"""The decider: sole writer of the log and of orders.

deciding   records in, decisions out, without any I/O
dispatch   which orders to send when, without any I/O
partition  one partition from fencing to read-back
ownership  which partitions are this process's
snapshots  disposable caches of a folded partition
"""
