"""The log as its readers see it: decoded, chained and folded.

Everything that decoding (`schemas`), the pipes (`plumbing`) and the law (`rights`) only give
together, for every process alike; it decides nothing and serves nobody.

The room:
  following   reads every partition of the log and keeps the chains
  orderbook   which orders are pending, folded from the log
  policies    which policies were published
  desk        a worker's orders, checked against the log before they are carried out
  reporting   a worker's reports, signs of life and dead letters
  sealing     what ties a sealed thing to its place, and the lease on its keys
  attesting   facts beyond the subject, asked live of who knows them
"""
