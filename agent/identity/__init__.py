"""The device's certificate, key and trusted roots: their generations on disk, the TLS context."""
