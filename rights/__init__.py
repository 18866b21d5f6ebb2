"""The law of habeas as pure functions: values in, values out.

Does no I/O, reads no clock and draws no randomness; time, ids and facts are arguments.

The room:
  lifecycle    states, phases, outcomes and the legal transitions, as tables
  commands     what people, product services and the clock ask for
  reports      what workers say they did
  events       what became true
  decisions    the record of one decision, accepted or rejected, and its chain
  policies     a tenant's profile: the values that shape its requests
  subject      one person's requests: decide and evolve
  export/      the law of access and portability
  erasure/     the law of erasure
  orders       work owed by a state
  timers       times at which a state wants to be woken
  ledger       one partition of the log, folded
"""
