"""Check every account of the network once, evaluate the results and finish the run.

`pipeline` runs everything from the first ping to the backup. `run` has the phases of one run: start
reading there. Nothing here knows the web pages or how a platform answers.
"""
