"""The request API: the one door through which people and product services ask.

models      bodies of requests and answers
refusals    what a decision's code means to a caller
answers     how commands were answered and which downloads were granted, from the log
filing      one wish from the caller to the decision
reading     what the views say, to those who may see it
handlers    one function an operation
table       the operation table: routes, authority, documents
downloads   archives, opened while they stream
progress    live progress as server-sent events
intake      what product services file by topic
"""
