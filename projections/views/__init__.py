"""One file a view: its table, its columns, and how its rows come about.

table      how rows get into a table, fast
positions  how far each partition was applied; fences a second projector out
requests   one row a request, as its events left it
commands   the answer to each command
timeline   what happened to a request, event by event
sections   how far each source of a request is, and what is known of its sections
"""
