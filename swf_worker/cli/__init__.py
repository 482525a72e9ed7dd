"""The command line, ``swf-worker``: the only part that configures logging."""
