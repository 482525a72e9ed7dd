"""The journal: decided answers that SWF has not accepted yet, on disk, for the next start."""
