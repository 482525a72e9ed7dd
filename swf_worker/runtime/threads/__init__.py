"""The worker's threads: their clock, pools, timers, and the one that tells observers."""
