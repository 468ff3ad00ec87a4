"""`scripts/repository`, with real keys and a real apt."""
