"""The heartbeats of all tasks: when each is due, and how often its type wants one."""
