"""What a product team declares about its data, and how the platform reads and treats it.

    contract.py      the Protocol `Source`, its messages and its three errors
    declaration.py   the YAML file of about twenty lines, as values; parse() reads it
    sections.py      one section of that file: columns, match, erase, files
    document.py      YAML with positions: every mistake is named by pointer and line
    registry.py      files and an environment in, sources out
    postgres.py      the Source over a declaration
    tables/          the SQL beneath it
    emitter.py       how a product service files a request itself

A source knows no Kafka and no request state. It never logs, and no error of it carries a row's
value, a handle or a connection string.
"""
