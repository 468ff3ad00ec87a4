"""A public key as `gpg --export` gives it, and what other files hold in its place."""

from __future__ import annotations

import base64

ARMOURED = b"""-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawmJUBYJKwYBBAHaRw8BAQdA4VTYXW1sThIXONnzsILFqQCE1N5K6AXoSUA9
eReE+8u0Emdvb2QgcmVwbyA8Z29vZEB4PoiQBBMWCAA4FiEEP9SM0LTLKz0N9CKk
faHnpOhoO8MFAmsJiVACGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQfaHn
pOhoO8PWsgEAtekI+dqhjiGjCVy912lQ0B2RPDGcuw/rQcJL1fQ8JpYBAPXgS1Dc
bn7hR+OGFL5gqt4u9qhQthi6x5z2faxDNGcI
=G+YW
-----END PGP PUBLIC KEY BLOCK-----
"""

BINARY = base64.b64decode(b"".join(ARMOURED.splitlines()[2:7]))

FINGERPRINT = "3FD48CD0B4CB2B3D0DF422A47DA1E7A4E8683BC3"

#: The key alone is of old format; this is a packet of the new one that holds a secret key.
SECRET = b"\xc5\x03abc"
