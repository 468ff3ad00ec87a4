"""Regions of AWS that this version knows: for advice on a misspelled one, never to refuse any."""

from __future__ import annotations

#: How many there are by the beginning of their names, numbered from 1 ("AWS Regions", November
#: 2026, with those of China, GovCloud and the European Sovereign Cloud).
KNOWN = {
    "af-south": 1,
    "ap-east": 2,
    "ap-northeast": 3,
    "ap-south": 2,
    "ap-southeast": 7,
    "ca-central": 1,
    "ca-west": 1,
    "cn-north": 1,
    "cn-northwest": 1,
    "eu-central": 2,
    "eu-north": 1,
    "eu-south": 2,
    "eu-west": 3,
    "eusc-de-east": 1,
    "il-central": 1,
    "me-central": 1,
    "me-south": 1,
    "mx-central": 1,
    "sa-east": 1,
    "us-east": 2,
    "us-gov-east": 1,
    "us-gov-west": 1,
    "us-west": 2,
}

#: How much of a name must be the same.
ALIKE = 0.7


def region_doubt(region: str) -> str:
    """The doubt that there is such a region, in words; "" for none, and for one that is known."""
    known = [f"{name}-{number + 1}" for name, most in KNOWN.items() for number in range(most)]
    if not region or region in known:
        return ""
    import difflib  # noqa: PLC0415 -- only a mistake needs it

    close = difflib.get_close_matches(region, known, n=2, cutoff=ALIKE)
    meant = f"; did you mean {' or '.join(close)}?" if close else ""
    return f"{region} is no AWS region that this version knows{meant}"


def control_plane(region: str) -> str:
    """The name that AWS IoT has in a region ("AWS IoT Core endpoints and quotas")."""
    return f"iot.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
