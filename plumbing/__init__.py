"""The pipes: what a message travels through, never what it means.

    clock, failpoints, config, telemetry, process    what every process needs to start and stop
    kafka/ objects/ postgres/ vault/ mail/ directory/  a Protocol, an in-memory part, the real part
    web/                                              problem bodies, tokens, operations, the server

A Protocol's two parts pass one contract suite (`tests/contracts`), so a test that runs on the
in-memory one says something about the real one.
"""
