"""Two months of a household: its life, the device in it, and a ledger that knows what to expect."""
