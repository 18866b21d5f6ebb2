"""The wire: one Avro schema per message, frozen copies of every released one, and the topics.

Knows the shapes of `rights` and turns them into bytes and back; knows no broker and no rule.

The room:
  catalogue    every message by its wire name
  derivation   the Avro schema of a dataclass (schemas are written once and then held by a test)
  codec        values to bytes and back, Avro single-object encoding
  upcasters    how older messages are read today
  topics       the topic catalogue: who writes, who reads, what is kept
  log          decisions and events as they are on the log
  avsc/        the schemas in force
  frozen/      every schema ever released, by fingerprint
"""
