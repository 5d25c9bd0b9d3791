"""Check every account of the network once, evaluate the results and finish the run.

Start with `run`: it has the phases of one run. `pipeline` adds what belongs around a run:
preconditions, notifications, backup and pruning. `plan`, `frontier` and `account_worker` decide
which account is checked when, and by which worker. `scheduling`, `erasure` and `diagnostics` serve
the operator. Nothing here knows the pages of this application, or how a platform answers.
"""
