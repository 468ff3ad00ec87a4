"""Settings: a value class for each table, and one for them all.

Field names are TOML keys and say their unit; their defaults and bounds stand beside them.
"""

from __future__ import annotations

from pathlib import Path

from agent.config.fields import (
    THING_NAME,
    bands,
    boolean,
    choice,
    file,
    integer,
    names,
    number,
    table,
    text,
)
from agent.config.hosts import host, url
from agent.config.key_uri import KeyUri, key_file
from agent.model import DAY_S
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.config.rule import Rule

#: Names of AWS IoT in words; groups of a thing, and its attributes beside `serial`, without a type
#: and with one ("AWS IoT Core endpoints and quotas").
NAMED = "1 to 128 of the characters a-z A-Z 0-9 : _ -"
GROUPS_MAX, ATTRIBUTES_MAX, TYPED_ATTRIBUTES_MAX = 10, 2, 49


class Thing(Value, kw_only=True):
    """Name of this device: of its thing, its client id and the first level of its topics."""

    name: str = text("", THING_NAME, NAMED)


class Aws(Value, kw_only=True):
    """AWS to register with; an empty string means that the AWS credentials say so."""

    region: str = text(
        "", r"[a-z]{2,8}(-[a-z0-9]{1,16}){0,4}-\d{1,2}", "a region such as ap-northeast-1"
    )
    endpoint_url: str = url("")
    profile: str = text("")


class Provisioning(Value, kw_only=True):
    """Registration with AWS: its method, what the thing is to be there, and what it is made with.

    `policy` is one that exists and stays as it is; without it, the device has one of its own.
    `template` and what follows it are for "claim".
    """

    method: str = choice("csr", "csr", "keys", "claim")
    key_type: str = choice("ec-p256", "ec-p256", "rsa-2048", "made-by-aws")
    rotate_before_days: float = number(30.0, 0, 3650)
    credentials_file: Path = file(Path("/etc/pi-iot-agent/aws/credentials"))
    policy: str = text(
        "", r"[a-zA-Z0-9_+=,.@-]{1,128}", "1 to 128 of the characters a-z A-Z 0-9 _ + = , . @ -"
    )
    thing_type: str = text("", THING_NAME, NAMED)
    thing_groups: tuple[str, ...] = names(THING_NAME, NAMED, GROUPS_MAX)
    attributes: Mapping[str, str] | None = table(
        r"(?!serial$)[a-zA-Z0-9_.,@/:#-]{1,128}",
        r"[a-zA-Z0-9_.,@/:#=\[\]-]{1,800}",
        "letters, digits and _ . , @ / : # -, and not serial, which is the board's",
        "letters, digits and _ . , @ / : # = [ ] - without spaces, as AWS has attributes",
    )
    template: str = text("", r"[0-9A-Za-z_-]{1,36}", "the name of a provisioning template")
    claim_cert_file: Path | None = file(None)
    claim_key_file: Path | None = file(None)
    erase_claim: bool = boolean(default=False)
    parameters: Mapping[str, str] | None = table(
        r"\S{1,128}",
        r".{0,4096}",
        "1 to 128 characters without spaces, as the template has its parameters",
        "at most 4096 characters",
    )

    def __post_init__(self) -> None:
        if problems := tuple(self._problems()):
            raise ValueError(*problems)

    def _problems(self) -> Iterator[str]:
        """Problems of keys that need each other."""
        if self.method == "claim":
            for key in ("template", "claim_cert_file", "claim_key_file"):
                if not getattr(self, key):
                    yield f'{key}: is missing; it goes with method = "claim"'
            if (self.parameters or {}).get("SerialNumber") == "":
                yield "parameters: SerialNumber is empty, and would be on each device"
            return
        if self.key_type == "made-by-aws":
            yield 'key_type: "made-by-aws" goes with method = "claim"; or set "keys"'
        most = TYPED_ATTRIBUTES_MAX if self.thing_type else ATTRIBUTES_MAX
        if len(self.attributes or ()) > most:
            more = "" if self.thing_type else "; with a thing_type there may be more"
            yield (
                f"attributes: are {len(self.attributes or ())}, and AWS has room for {most}"
                f" beside serial{more}"
            )


class Mqtt(Value, kw_only=True):
    """The session with the broker."""

    endpoint: str = host("")
    port: int = integer(8883, 1, 65535)
    ca_file: Path | None = file(None)
    cert_file: Path | None = file(None)
    key_file: Path | KeyUri | None = key_file()
    protocol: str = choice("5", "5", "3.1.1")
    keepalive_s: int = integer(60, 5, 1200)
    session_expiry_s: int = integer(7 * DAY_S, 0, 2**32 - 1)
    connect_timeout_s: float = number(10.0, 1, 3600)
    backoff_min_s: float = number(1.0, 1, DAY_S)
    backoff_max_s: float = number(120.0, 1, DAY_S)
    max_inflight: int = integer(20, 1, 1000)
    max_publish_per_s: int = integer(80, 1, 100_000)

    def __post_init__(self) -> None:
        if self.backoff_min_s > self.backoff_max_s:
            raise ValueError(
                f"backoff_min_s: {self.backoff_min_s:g} is above "
                f"backoff_max_s, which is {self.backoff_max_s:g}"
            )
        if self.cert_file and not self.key_file:
            raise ValueError("key_file: is missing; it goes with cert_file")
        if self.key_file and not self.cert_file and not isinstance(self.key_file, KeyUri):
            raise ValueError("cert_file: is missing; it goes with key_file")
        if self.cert_file and not self.endpoint:
            raise ValueError("endpoint: is missing; with cert_file nothing else tells it")


#: A digest is made from so many days of history at least: else one of a day that was missed would
#: say that nobody looked, only since the history was cut.
DIGEST_DAYS = 9


class StoreLimits(Value, kw_only=True):
    """Store of the records: its file, the longest time to a commit, and its bounds.

    `history_days` is for what `report` and the digests tell; 0 keeps none.
    """

    path: Path = file(Path("/var/lib/pi-iot-agent/store.db"))
    commit_after_s: float = number(0.0, 0, DAY_S)
    max_rows: int = integer(1_000_000, 1, 10**9)
    max_mib: float = number(256.0, 0.1, 2**20)
    max_age_days: float = number(90.0, 0.001, 36_500)
    history_days: float = number(90.0, 0, 3660)


class Count(Value, kw_only=True):
    """Counting: the sensors whose detections are counted, and the length of a window.

    `sensor` is never more than is there; `asked` says that the file has something about it.
    """

    sensor: tuple[str, ...] = names()
    window_s: int = integer(600, 5, DAY_S)
    asked: bool = True


class Digest(Value, kw_only=True):
    """Digest of each day, made at a local time of the next; none where `at` is "off"."""

    at: str = text("07:00", r"off|([01]?\d|2[0-3]):[0-5]\d", 'a time such as 07:00, or "off"')


class Paths(Value, kw_only=True):
    """Directories that the agent works in."""

    certs: Path = file(Path("/etc/pi-iot-agent/certs"))
    state: Path = file(Path("/var/lib/pi-iot-agent"))
    runtime: Path = file(Path("/run/pi-iot-agent"))

    @property
    def lock_file(self) -> Path:
        """The file that a running agent keeps locked."""
        return self.runtime / "agent.lock"

    @property
    def status_file(self) -> Path:
        """The file in which it reports."""
        return self.runtime / "status.json"


class SensorConfig(Value, kw_only=True):
    """One sensor; `options` is its driver's Options, a plain dict for a plug-in's.

    `interval_s` is None where it is not given: 60 s, and no reading of a detector that is counted.
    `timeout_s` bounds one poll. With `report = "change"` a reading is sent when a quantity moves by
    more than its dead band, and after `heartbeat_s`. Detections in a `test` are not counted.
    """

    name: str = text(..., r"[a-zA-Z0-9_-]{1,64}", "1 to 64 of the characters a-z A-Z 0-9 _ -")
    driver: str = text(...)
    interval_s: float | None = number(None, 0.05, 31 * DAY_S)
    timeout_s: float = number(10.0, 0.1, 3600)
    report: str = choice("always", "always", "change")
    dead_band: Mapping[str, float] | None = bands()
    heartbeat_s: float = number(3600.0, 1, 31 * DAY_S)
    test: bool = boolean(default=False)
    options: object = None

    @property
    def sos(self) -> bool:
        """True for a button whose presses are calls for help, and nothing that is counted."""
        return getattr(self.options, "role", "") == "sos"


class Config(Value, kw_only=True):
    """The whole configuration; `warnings` are worth mending but stop nothing."""

    path: Path
    thing: Thing
    aws: Aws
    provisioning: Provisioning
    mqtt: Mqtt
    store: StoreLimits
    count: Count
    paths: Paths
    sensors: tuple[SensorConfig, ...]
    digest: Digest = Digest()
    rules: tuple[Rule, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def digests(self) -> bool:
        """True if digests are wished for, and the history suffices for them."""
        return self.digest.at != "off" and self.store.history_days >= DIGEST_DAYS
