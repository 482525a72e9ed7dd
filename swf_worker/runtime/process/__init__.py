"""What belongs to the whole process: the interpreter, standard streams, forks."""
