"""The law of erasure: GDPR Art. 17.

state     one erasure as its events left it
plan      what will become of each class of items, and its hash
deciding  what may follow which wish or timer
working   what may follow which report of a worker
owing     orders and timers of a state
"""
