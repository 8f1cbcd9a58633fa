"""Live tables. Each is an image: an Arrow IPC file with room for rows, which pushes fill in place."""
