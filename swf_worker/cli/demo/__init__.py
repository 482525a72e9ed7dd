"""``swf-worker demo``."""
