"""Collectors: Faust agents that copy a person's sections out of a source, sealed, onto Kafka.

A process hosts the sources it is configured with; it keeps no table and no state.

    config      what a collectors process must be told
    process     builds the process and runs it
    app         the Faust application: its settings, and an agent for every source
    transport   Faust's Kafka clients as we want them: read_committed, idempotent
    collecting  carries out orders, several at once, each by itself
    inbox       which orders run here, and which records may be acknowledged (no I/O)
    run         one collection run: a source in, sealed fragments out
    framing     rows and files cut into fragments (no I/O)
    extents     where a run's fragments lie, as runs of offsets (no I/O)
    publishing  fragments on their way, a bounded number at a time
"""
