"""Identity: certificate, key and trusted roots, their generations on disk, the TLS context."""

from agent.identity.claims import (
    CLAIM_DIRECTORY,
    CLAIM_ON_TRIAL,
    claim_ended,
    claim_id,
    claim_left,
    claim_warnings,
    erase_claim,
    erase_used_claim,
)
from agent.identity.credentials import CLAIM, Credentials, Identity, load, tls_context
from agent.identity.generations import Generations, NewCertificate, by_hand
from agent.identity.key_mode import close_key
from agent.identity.leftovers import has_replaced, other_things
from agent.identity.naming import forget_name, remember_name
from agent.identity.roots import AMAZON_ROOTS, ROOT_CA_1, SYSTEM_BUNDLES, amazon_roots, certificates
from agent.identity.unusable import (
    ForbiddenCredentialsError,
    HardwareKeyError,
    MissingCredentialsError,
    RootsError,
)
from agent.identity.wrapping import unwrapped_uri, wrapped_uri
from agent.identity.x509 import Certificate, decode_certificate

__all__ = [
    "AMAZON_ROOTS",
    "CLAIM",
    "CLAIM_DIRECTORY",
    "CLAIM_ON_TRIAL",
    "ROOT_CA_1",
    "SYSTEM_BUNDLES",
    "Certificate",
    "Credentials",
    "ForbiddenCredentialsError",
    "Generations",
    "HardwareKeyError",
    "Identity",
    "MissingCredentialsError",
    "NewCertificate",
    "RootsError",
    "amazon_roots",
    "by_hand",
    "certificates",
    "claim_ended",
    "claim_id",
    "claim_left",
    "claim_warnings",
    "close_key",
    "decode_certificate",
    "erase_claim",
    "erase_used_claim",
    "forget_name",
    "has_replaced",
    "load",
    "other_things",
    "remember_name",
    "tls_context",
    "unwrapped_uri",
    "wrapped_uri",
]
