"""The tree of recorders, by column: which nodes there are, and what each has or inherits.

A recursive query resolves the nodes in a dozen lines of SQL (docs/format.md), a level at a time like
the code here. It is not used, since what a query of one column needs is one column: here each key is
resolved when it is first used, and an inherited value is stored once and not copied for each node that
has it, which SQL can't express. A collection of a million nodes and hundreds of keys is opened by
arranging ids alone. Rows, records in Python, and a recorder's own attributes then need no DuckDB at all,
whose start costs more than most of these questions, and values keep the kinds that they were set with.
"""
