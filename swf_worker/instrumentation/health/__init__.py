"""``health_port``: probes, metrics and a page for those who run workers."""
