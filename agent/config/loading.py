"""Loading: a file and what stands beside it, interpreted as the configuration.

Beside it stand an `iot_prov_config` of older devices, and what systemd says in the environment of
where the service's directories and credentials are (systemd.exec(5)).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from agent import board
from agent.config import endpoints, method
from agent.config.counted import counted
from agent.config.document import contents, mistakes, read_toml
from agent.config.fields import seen, show, unusable
from agent.config.legacy import FILE_NAME, Legacy
from agent.config.naming import registered_name
from agent.config.settings import (
    DIGEST_DAYS,
    Aws,
    Config,
    Count,
    Digest,
    Mqtt,
    Paths,
    Provisioning,
    SensorConfig,
    StoreLimits,
    Thing,
)
from agent.config.tables import Tables, no_sensor
from agent.value import Value, fields, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agent.config.rule import Rule


DEFAULT_PATH = Path("/etc/pi-iot-agent/agent.toml")

#: The Options of a driver, a value class, or `dict` for one that checks its own.
#: Raises KeyError(driver, *known drivers).
OptionsOf = Callable[[str], type | None]

TABLES = {one.name for one in fields(Config)} - {"path", "warnings"}

#: Keys that every sensor has; the others are its driver's.
COMMON = {one.name for one in fields(SensorConfig)} - {"options"}


def systemd_directories(environment: Mapping[str, str]) -> dict[str, object]:
    """Directories from systemd, by key, instead of the defaults of [paths] and credentials_file."""

    def directory(name: str) -> Path | None:
        first = environment.get(name, "").partition(":")[0]
        return Path(first) if first else None

    given: dict[str, object] = {}
    if state := directory("STATE_DIRECTORY"):
        given["state"] = state
    if runtime := directory("RUNTIME_DIRECTORY"):
        given["runtime"] = runtime
    if configuration := directory("CONFIGURATION_DIRECTORY"):
        given["certs"] = configuration / "certs"
        given["credentials_file"] = configuration / "aws" / "credentials"
    credentials = directory("CREDENTIALS_DIRECTORY")
    if credentials and (credentials / "aws").is_file():
        given["credentials_file"] = credentials / "aws"
    return given


def load(
    path: Path,
    *,
    options_of: OptionsOf,
    environment: Mapping[str, str] = os.environ,
    hostname: str = "",
    root: Path = board.ROOT,
    registered: Callable[[Path], str] = registered_name,
    content: Mapping[Path, bytes] | None = None,
) -> Config:
    """The configuration in the file `path`, and in an `iot_prov_config` beside it.

    What somebody else has read from either is taken from `content`, by its path. A path
    that the file does not give comes from systemd's variables in `environment`. The default name is
    the one that the device has registered with, else it is made from `hostname` (this system's if
    empty) and the serial number below `root`.
    Raises ConfigError with all problems, each beginning with the file's path and the key or line.
    """
    content = dict(content or {})
    if path not in content:
        content[path] = contents(path)
    return interpret(
        read_toml(path, content[path]),
        path,
        options_of=options_of,
        environment=environment,
        hostname=hostname,
        root=root,
        registered=registered,
        content=content,
    )


def interpret(
    document: dict[str, object],
    path: Path,
    *,
    options_of: OptionsOf,
    environment: Mapping[str, str] = os.environ,
    hostname: str = "",
    root: Path = board.ROOT,
    source: Path | None = None,
    registered: Callable[[Path], str] = registered_name,
    content: Mapping[Path, bytes] | None = None,
) -> Config:
    """Interpret `document` as the content of `path`; problems name `source`. As `load`.

    `registered` gives the name that is written down in a directory of certificates.
    """
    tables = Tables(document, path.absolute().parent, known=TABLES)
    content = content or {}
    beside = path.parent / FILE_NAME
    old = _legacy(beside, content.get(beside))
    given = systemd_directories(environment)
    paths = tables.table("paths", Paths, given)
    known = registered(paths.certs)
    name = old.thing or known or board.default_name(hostname, root=root)
    config = Config(
        path=path,
        thing=tables.table("thing", Thing, {"name": name}),
        aws=tables.table("aws", Aws),
        provisioning=tables.table("provisioning", Provisioning, given),
        mqtt=tables.table("mqtt", Mqtt),
        store=tables.table("store", StoreLimits, {"path": paths.state / "store.db"}),
        count=tables.table("count", Count),
        paths=paths,
        sensors=_sensors(tables, old.sensor, options_of),
        digest=tables.table("digest", Digest),
        rules=_rules(tables, document.get("sensors")),
    )
    tables.problems += method.problems(tables, config)
    said = (old.problem,) if old.problem else ()
    unnamed = tables.given("thing", "name") in (None, "")
    if tables.problems or (said and unnamed):
        source = source or path
        raise mistakes(source, tables.problems, content.get(source), beside=said if unnamed else ())
    count, told = _count(tables, config)
    config, renamed = _named_by_claim(config, known)
    return replace(
        config,
        count=count,
        warnings=(
            *renamed,
            *said,
            *old.warnings,
            *old.topic_warnings(config.thing.name),
            *(old.sensor_warnings(config.sensors) if "sensors" in document else ()),
            *endpoints.warnings(config.mqtt),
            *method.warnings(tables, config),
            *told,
            *_pins(config.sensors, root),
        ),
    )


def _named_by_claim(config: Config, registered: str) -> tuple[Config, list[str]]:
    """The configuration with the name that a template has given, and a warning of another one."""
    wanted, certs = config.thing.name, config.paths.certs
    if config.provisioning.method != "claim" or registered == wanted:
        return config, []
    if not registered:
        may = partial(os.access, certs, effective_ids=True)
        hidden = may(os.F_OK) and not may(os.X_OK)
        told = f"thing.name: this user may not read {certs}, where it is: {wanted} may be wrong"
        return config, [f"{told}; use sudo"] if hidden else []
    kept = f'with method = "claim" this device keeps the name {registered}'
    told = f"thing.name: {wanted} is not used: {kept}"
    return replace(config, thing=replace(config.thing, name=registered)), [told]


def _count(tables: Tables, config: Config) -> tuple[Count, list[str]]:
    """The count with the sensors that it has, and warnings of those that it has not."""
    named = None if tables.given("count", "sensor") in (None, "") else config.count.sensor
    asked = tables.given("count", "window_s") is not None
    names, warning = counted(named, config.sensors, asked=asked)
    tried = [
        f"sensors: {one.name}: test is true, so "
        + ("each press is sent as a test" if one.sos else "what it detects is not counted")
        for one in config.sensors
        if one.test
    ]
    count = replace(config.count, sensor=names, asked=asked or named is not None)
    return count, [*filter(None, [warning]), *tried, *_untold(config, names)]


def _untold(config: Config, counted_names: Sequence[str]) -> Iterator[str]:
    """Warnings of what somebody wishes to be told, and cannot be."""
    for rule in config.rules:
        if rule.kind == "quiet" and not counted_names:
            yield f"rules: {rule.name}: no sensor is counted, so nothing is known of quiet"
    if config.digest.at != "off" and not config.digests:
        kept = f"store.history_days is {config.store.history_days:g}"
        why = f"{kept}, and it takes {DIGEST_DAYS}"
        yield f'digest.at: no digest is made: {why}; or set it to "off"'


def _legacy(path: Path, data: bytes | None) -> Legacy:
    """The settings of an older device in the file `path`, or in `data` in place of it."""
    if data is None and not os.path.lexists(path):
        return Legacy(path)
    from agent.config.legacy_file import read  # noqa: PLC0415 -- only older devices have one

    return read(path, data)


def _pins(sensors: tuple[SensorConfig, ...], root: Path) -> list[str]:
    """Warnings of the pins that sensors are at."""
    if not any(getattr(one.options, "occupies", "") for one in sensors):
        return []
    from agent.config import pins  # noqa: PLC0415 -- which not everybody has

    return pins.warnings(sensors, root)


def _rules(tables: Tables, sensors: object) -> tuple[Rule, ...]:
    """The rules of a document, which name some of its `sensors`; problems are noted."""
    listed = tables.array("rules", [])
    if not listed:
        return ()
    from agent.config.rules import read_rules  # noqa: PLC0415 -- only few have some

    return read_rules(tables, listed, sensors if isinstance(sensors, list) else [])


def _sensors(
    tables: Tables, otherwise: dict[str, object] | None, options_of: OptionsOf
) -> tuple[SensorConfig, ...]:
    """The sensors of a document, or the one in `otherwise` if it has none; problems are noted."""
    listed = tables.array("sensors", [otherwise] if otherwise else [])
    if listed is None:
        return ()
    sensors = [
        _sensor(tables, table, f"sensors[{index}]", options_of)
        for index, table in enumerate(listed)
    ]
    names: dict[str, int] = {}
    for index, table in enumerate(listed):
        name = table.get("name") if isinstance(table, dict) else None
        if isinstance(name, str) and (first := names.setdefault(name, index)) < index:
            told = f"{show(name)} is the name of sensors[{first}] too"
            tables.note(f"sensors[{index}].name: {told}")
    wanted = tables.given("count", "sensor")
    for name in wanted if isinstance(wanted, list) else [wanted]:
        if isinstance(name, str) and name and name not in names and not unusable(name):
            old = f"; that of {FILE_NAME} is not used beside [[sensors]]"
            told = old if otherwise and name == otherwise["name"] else ""
            tables.note(f"count.sensor: {no_sensor(name, names)}{told}")
    return tuple(sensor for sensor in sensors if sensor)


def _sensor(tables: Tables, table: object, key: str, options_of: OptionsOf) -> SensorConfig | None:
    """One sensor with its driver's options; None if it has problems, which are noted."""
    if not isinstance(table, dict):
        tables.note(f"{key}: expected a table, got {show(table)}")
        return None
    own = {name: value for name, value in table.items() if name in COMMON}
    options: object = (rest := {name: table[name] for name in table if name not in COMMON})
    driver = table.get("driver")
    if isinstance(driver, str) and driver:
        try:
            kind = options_of(driver)
        except KeyError as error:
            from agent.config.parts import reader  # noqa: PLC0415 -- only a mistake needs it

            known = [str(name) for name in error.args[1:]]
            advice = reader(driver, known, pin=table.get("pin"))
            if not unusable(driver):  # else that is told
                told = f"no driver {seen(driver)}{advice}; known: {', '.join(known)}"
                tables.note(f"{key}.driver: {told}")
        else:
            if kind and issubclass(kind, Value):
                shared = {one.name for one in fields(kind)} & own.keys()  # such as timeout_s
                rest |= {name: own[name] for name in shared}
                options = tables.read(kind, rest, key, {})
    return tables.read(SensorConfig, own, key, {"options": options})
