"""The scheduler: tells the decider when a time has come that a state waits for.

timetable  which timers are due and which days have not been ticked, without any I/O
loop       follows the log and sends what the timetable says
"""
