"""The eraser: carries out erase orders, source by source.

answers   what a source said, as reports: counts in buckets, nothing about anybody
erasing   one order from its intent to its report
loop      takes orders, and parks those whose source or keyring does not answer
"""
