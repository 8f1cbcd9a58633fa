"""The folder of a collection: layout, locks, sealing, recovery, compaction, verification."""
