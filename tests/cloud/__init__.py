"""The command `python3 -m tests.cloud`; the local AWS itself is `tests/tools/cloud/`."""
