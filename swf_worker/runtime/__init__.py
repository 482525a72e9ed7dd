"""Threads, the event loop, processes and signals: drives the core. ``engine.py`` tells a task's way
through the rooms."""
