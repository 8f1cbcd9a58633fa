"""Rows in Python: how records become dicts, in twins, native and pure."""
