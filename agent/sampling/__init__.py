"""The worker that turns what sensors see into records in the store."""
