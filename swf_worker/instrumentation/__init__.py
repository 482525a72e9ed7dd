"""Observers of what happens: the log today."""
