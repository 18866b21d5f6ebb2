"""The SQL over declared tables: one person's rows, and nobody else's.

catalog.py       what the database itself says: columns, types, primary keys, drift
matching.py      which rows are the person's, and in which order they are scanned
reading.py       rows as JSON lines, pages, pieces of files
treatments.py    plan, delete, scrub, anonymise, probe
ledger.py        what a source remembers of steps and fences
connections.py   connections, and the driver's errors in the contract's words
"""
