"""Rows in Python: records become dicts, by a native backend or the pure-Python fallback."""
