"""The keyring: the only process that holds keys, and the vault of what they seal.

Rule 1: it opens for an order that the log says is pending, or a grant in force, and for the service
whose work that is; one subject a call.
Rule 2: what is being destroyed opens for nobody from the first moment, and is deleted one lease
later.
Rule 3: what the log says was destroyed is destroyed again at every start, before anybody is served.

    process       builds the parts, and starts and stops them in the right order
    app           the HTTP face
    wire          what callers send and get
    tokens        which service calls
    standing      what the log says: pending orders, grants in force, what was destroyed
    entitlements  what each kind of order may have opened, and by whom: a table
    keeper        put, find and open, each in its transaction
    destroyer     orders to destroy keys, the barrier, the proof
    keyfiles      the two key files
    store/        the database: people, keys, rows, and their end
    migrations/   its tables

`python -m services.keyring --make-kek PATH --make-identity PATH` makes the key files.
"""
