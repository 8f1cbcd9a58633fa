"""Kinds of values: classification, storage, and unification in one column."""
