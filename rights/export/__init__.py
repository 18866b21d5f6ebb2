"""The law of access and portability: GDPR Art. 15 and 20.

state     one export as its events left it
deciding  what may follow which wish or report
owing     orders and timers of a state
"""
