"""One task, from the poll's answer to its end: its shell, and the call of its handler."""
