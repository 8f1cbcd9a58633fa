"""The folder of a collection: names, locks, sealing, recovery, compaction, verification."""
