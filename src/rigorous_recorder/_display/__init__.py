"""Display of trees, records, experiments and collections in terminals and notebooks."""
