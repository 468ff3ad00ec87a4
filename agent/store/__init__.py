"""The durable queue: every record from its reading to its PUBACK, in one SQLite file."""
