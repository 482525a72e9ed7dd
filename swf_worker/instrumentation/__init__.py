"""Observers of what happens: the log, metrics, traces; and the port that shows them."""
