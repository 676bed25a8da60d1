"""The command line: verbs, their flags, and files that hold flags."""
