"""The outsider's command line: reads the log and believes nothing that it can compute itself.

Has no keys, changes nothing, and imports neither services nor projections.

The room:
  cli        the commands
  findings   what can be wrong with a record, in words
  records    where records come from: a broker, or a copy
  dump       the copy's format
  chain      one partition: chain, tree, and which record broke them
  partition  one partition: everything that it shows by itself
  law/       whether the law allows what was decided
  verifying  the whole log, and what a verdict consists of
  showing    verdicts for people and for machines
"""
