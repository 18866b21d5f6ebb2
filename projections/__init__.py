"""Views: the log as tables, for whoever must answer quickly.

Nothing here is true because it stands in a table: every row follows from the log, and any of them
may be dropped and made again. Services import `queries` and nothing else of this room.

The room:
  folding     entries in, changed rows out; no database, no broker
  views/      one file a view: its table, its columns, how its rows come about
  projector   applies batches of entries, each in one transaction with the positions
  running     the loops of the process
  rebuilding  makes all views again beside the ones that serve, then swaps
  progress    the workers' signs of life, which are no decisions
  schemas     where the views lie, and their migrations
  queries     what services ask
  watching    tells waiting readers how far the views are
"""
