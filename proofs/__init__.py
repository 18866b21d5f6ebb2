"""Bytes in, verdict out: what outsiders verify with, and what seals what we store.

Nothing here reads a file, a clock or a network; `cryptography` is the only library below it.
Every check either returns the verified value or raises one of `failures`.

    framing      length prefixes and strict base64, shared by the rest
    failures     the four ways in which bytes can fail to prove anything
    keys         Ed25519 keys, wrapping of keys, keyed commitments
    chunked      C2SP chunked encryption (Cobblestone-256): whole, streamed, by range
    streams      file-like faces over `chunked`
    envelope     our header before a ciphertext, and the context that binds it to its place
    tree         RFC 6962 Merkle tree: frontier, proofs, verification
    notes        C2SP signed notes
    checkpoints  C2SP tlog checkpoints and cosignatures
    inclusion    leaf bytes of a decision, C2SP tlog proofs
    sshsig       OpenSSH file signatures, for what people hold
    dsse         signed envelopes of receipts, for what machines exchange
"""
