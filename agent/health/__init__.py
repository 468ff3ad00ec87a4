"""Health: declared conditions, facts, heartbeats, and the snapshot that every reader shows."""
