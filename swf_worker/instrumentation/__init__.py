"""Observers of what happens: the log, and traces."""
