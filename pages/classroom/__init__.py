"""A page for a room of students, on a server of its own: the question that is asked now, and nothing else."""
