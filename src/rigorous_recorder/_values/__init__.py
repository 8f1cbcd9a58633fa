"""The kinds of values: what a value is, how it is stored, how kinds meet in one column."""
