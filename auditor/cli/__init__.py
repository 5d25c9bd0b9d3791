"""The command line: one module per group of commands.

A command reads its options, calls other packages and prints the result; it decides nothing about
accounts. Modules are imported when a command runs, because `--help` has to be quick. Start with
`main.py`, which lists all commands.
"""
