"""The bundler: puts a person's fragments together into one sealed archive, and removes archives.

It holds no state. A seal order is carried out in two passes, so that the manifest can come first
and every size is known before it is written.

    config      what a bundler must be told
    loop        seal and remove orders in, one after the other
    sealing     a seal order, from its extents to the report
    extents     the fragments of an extent, straight from their offsets, each byte once
    assembling  first pass: fragments in, members of the archive out
    spool       where members lie between the passes: on disk, deflated, encrypted, under a quota
    manifest    what is in the archive, and what proves it (no I/O)
    readme      the letter that lies on top, in the person's language (no I/O)
    archives    second pass: the members as a ZIP or as one JSON document
    storing     the archive on its way into the object store, and what is left there
"""
