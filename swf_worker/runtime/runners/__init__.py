"""Where handlers run: in a slot's thread, on the event loop, in a process."""
