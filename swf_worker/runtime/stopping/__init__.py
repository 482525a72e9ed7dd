"""How a worker and its process come to an end: signals, steps, limits of time."""
