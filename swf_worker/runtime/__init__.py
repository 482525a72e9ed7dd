"""Threads, the event loop, signals: drives the core, and calls the service."""
