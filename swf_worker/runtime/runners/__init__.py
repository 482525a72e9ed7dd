"""Where handlers run. Runners differ only in how they start, interrupt and kill."""
