"""Handler processes (``isolation="process"``): the pool of them, and the code in each."""
