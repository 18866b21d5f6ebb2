"""Measurements as ratios: ours against what a person would write by hand, in one run.

ground     topics and commands that a run stands on
bare       the limits: confluent-kafka and fastavro alone
deciding   the decider's real partition loop
replaying  the log just written, folded
living     a whole installation: exports, answers, memory
table      what was measured, against what was wished
"""
