"""The worker that owns everything that is said to AWS."""
