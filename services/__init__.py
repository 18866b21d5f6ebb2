"""The processes, one folder each. None imports another; what two of them share lies in a room below.

    request_api  people's, dashboards' and product services' way in; commands out, answers back
    decider      the sole writer of the log and of orders
    collectors   page through sources and publish sealed fragments (one process a source)
    bundler      seal archives out of fragments, and remove them
    eraser       plan, treat and probe erasures at the sources
    keyring      holds every key and the vault; opens for pending orders only; destroys
    scheduler    fires timers and starts days
    notifier     sends letters

`projections` is a process too (`python -m projections`) and has a room of its own.
"""
