"""The keyring's own database, and what makes its bytes unreadable to whoever else holds it.

    database  transactions that are flushed before they are acknowledged
    cipher    wrapping and sealing: every ciphertext tied to its row
    people    the reference index: who is whose subject_ref
    keys      subject keys and request keys
    rows      vault rows
    doom      what a destruction marks, deletes and leaves no trace of

Functions take an open transaction; who calls decides where it begins and ends.
"""
