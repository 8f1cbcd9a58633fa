"""The tree of recorders, by column: the nodes, and what each has or inherits.

A recursive query would resolve the nodes in a dozen lines of SQL (docs/format.md), level by level like
the code here. It is not used because a query needs few columns: here each key is resolved on first use,
and an inherited value is stored once instead of being copied for each node, which SQL can't express.
Opening a collection of a million nodes and hundreds of keys only arranges ids. Rows, records in Python,
and a recorder's own attributes need no DuckDB, whose start takes longer than most such queries, and
values keep the kinds that they were set with.
"""
