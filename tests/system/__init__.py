"""The Debian package under real systemd."""
