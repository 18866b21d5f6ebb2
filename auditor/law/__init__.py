"""Whether the law allows what was decided.

transitions  states folded anew, and held against the tables of the lifecycle
causes       which events may follow from which command
recomputing  the same command on the same state, decided again
refusals     which refusals can be recomputed from the state
"""
