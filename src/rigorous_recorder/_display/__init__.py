"""How trees, records, experiments and collections show in a terminal and in a notebook."""
