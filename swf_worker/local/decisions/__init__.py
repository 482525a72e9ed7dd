"""What a decider decides, performed: all of it or nothing. A file for each kind of decision."""
