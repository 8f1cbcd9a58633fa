"""What a run records of itself: its code, command, packages, machine and job, and no secret."""
