"""The command line: one file a command family, and the only code that prints.

Data goes to stdout, progress and messages to stderr. Whatever is heavy is imported inside the
command that needs it, so that `--help` and shell completion are quick.
"""
