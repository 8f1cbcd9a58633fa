"""Live tables: Arrow IPC images with room for rows, filled in place as records are pushed."""
