"""A TLS connection by name, address, proxy and port; and what went wrong with one, in words."""
