"""The journal: its file, its keeper, and results that survive the death of their worker."""
