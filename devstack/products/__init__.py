"""Two invented product teams and two tenants' identity databases, to see the platform at work.

    journal.sql, billing.sql      what the products' own databases look like, with rows
    *.source.yaml                 what each team declares: all that it writes for the platform
    identity.sql, people.yaml     who is who; the issuer of the embedded stack reads it too
    photos.py, loading.py         a photo made of arithmetic; everything into databases, once

Every person, address and number here is made up.
"""
