"""Handler processes (``isolation="process"``): the pool, and the code in each child."""
