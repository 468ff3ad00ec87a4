"""The Debian package on the architectures of the Raspberry Pi, emulated."""
