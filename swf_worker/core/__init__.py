"""Decides. No clock, no thread, no I/O, no log: every function returns what to do."""
