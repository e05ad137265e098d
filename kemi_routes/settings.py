"""The settings: one #!define each, read once at start, checked together.

The defaults stand in kamailio-settings.cfg (`#!trydef`): Kamailio's own parameters use them too.
Here stands what a value means and which values are right. `read` takes any lookup by name:
`KSR.kx.get_def` inside Kamailio, the environment in the launcher.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs

from kemi_routes.subscribers.dburl import parse_dburl
from kemi_routes.subscribers.errors import StoreError

_HOME = Path(__file__).resolve().parent.parent
# in a checkout the file stands in kamailio/, where it is installed beside the package
CFG = next(
    (path for path in (_HOME / "kamailio.cfg",) if path.exists()), _HOME / "kamailio/kamailio.cfg"
)
INSTALLED = CFG.parent == _HOME

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_T = TypeVar("_T")
_SOCKET = re.compile(
    r"(?P<proto>udp|tcp|tls):(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:/\s]+):(?P<port>\d+)"
)
# Module auth splits it: one half signs nonces, the other binds them to a phone.
SHORTEST_SECRET = 32
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


class SettingsError(ValueError):
    """All that is wrong with the settings, one line a fault."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        lines = "".join(f"\n  - {fault}" for fault in faults)
        super().__init__(f"{len(faults)} wrong setting(s), Kamailio does not start:{lines}")


def number(low: int, high: int) -> Callable[[str], int]:
    """A parser of whole numbers from `low` to `high`."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"-?\d+", text) or not low <= int(text) <= high:
            raise ValueError(f"takes a whole number from {low} to {high}")
        return int(text)

    return parse


def one_of(*words: str) -> Callable[[str], str]:
    """A parser of one of the given words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"takes one of: {', '.join(words)}")
        return text

    return parse


algorithm = one_of("MD5", "SHA-256")


def text(value: str) -> str:
    """Any text."""
    return value


def secret(value: str) -> str:
    """A text that nobody guesses who tries: with less, module auth warns at start."""
    if len(value) < SHORTEST_SECRET:
        raise ValueError(
            f"has {len(value)} characters, {SHORTEST_SECRET} are needed: take what"
            " `openssl rand -hex 32` prints"
        )
    return value


def host(value: str) -> str:
    """An IP address (IPv6 with or without brackets) or a host name, without a port."""
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        looks_numeric = re.fullmatch(r"[\d.]+", bare)
        if looks_numeric or not _DOMAIN.fullmatch(bare):
            raise ValueError(f"{value!r} is no IP address and no host name") from None
        return bare.lower()
    return f"[{bare}]" if ":" in bare else bare


def hosts(value: str) -> tuple[str, ...]:
    """Host names or addresses, separated by spaces."""
    return _each(host, value)


def networks(value: str) -> tuple[Network, ...]:
    """IP addresses and networks in CIDR notation, separated by spaces."""
    return _each(_network, value)


def _network(word: str) -> Network:
    try:
        return ipaddress.ip_network(word)
    except ValueError:
        raise ValueError(
            f"{word!r} is no address or network such as 192.0.2.1 or 2001:db8::/32"
        ) from None


def sockets(value: str) -> tuple[str, ...]:
    """Sockets `udp|tcp|tls:address:port`, separated by spaces; IPv6 in brackets."""
    return _each(_socket, value)


def _socket(word: str) -> str:
    match = _SOCKET.fullmatch(word)
    if match is None:
        raise ValueError(
            f"{word!r} is no socket such as udp:192.0.2.1:5060 or tls:[2001:db8::1]:5061"
        )
    host(match["host"])
    if not 0 < int(match["port"]) < 65536:
        raise ValueError(f"{word!r} has no port from 1 to 65535")
    return word


def _each(parse: Callable[[str], _T], value: str) -> tuple[_T, ...]:
    """Parse words separated by spaces; the error names all that are wrong."""
    words: list[_T] = []
    faults: list[str] = []
    for word in value.split():
        try:
            words.append(parse(word))
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ValueError("; ".join(faults))
    return tuple(words)


def database_url(value: str) -> str:
    """`sqlite:///path` or `postgres://user:password@host:port/name`."""
    try:
        return parse_dburl(value).kamailio
    except StoreError as error:
        raise ValueError(str(error)) from None


def rtpengine_socket(value: str) -> str:
    """The ng control socket of rtpengine, `udp:host:port`."""
    if not re.fullmatch(r"udp6?:\S+:\d+", value):
        raise ValueError("takes the control socket of rtpengine, such as udp:127.0.0.1:2223")
    return value


def rtp_interfaces(value: str) -> dict[str, str]:
    """rtpengine's interfaces, `name/address` or `name/address!advertised`, with `;` between.

    Returns:
        The names by address, of those that have one.
    """
    found = {}
    for item in value.split(";"):
        name, _, address = item.strip().rpartition("/")
        address = host(address.partition("!")[0]).strip("[]")
        if name:
            found[address] = name
    return found


def sip_uri(value: str) -> str:
    """A SIP URI."""
    if not re.fullmatch(r"sips?:[^@\s]+@[^@\s]+", value):
        raise ValueError("takes a SIP URI such as sip:keepalive@example.test")
    return value


def setting(parse: Callable[[str], _T], unit: str, doc: str) -> _T:
    """A setting: how its text is read, in which unit, and what it does."""
    field: _T = attrs.field(metadata={"parse": parse, "unit": unit, "doc": doc})
    return field


@attrs.frozen(kw_only=True)
class Settings:
    """Every setting of kemi-routes; the name of its #!define is the field's, in capitals."""

    listen: tuple[str, ...] | None = setting(
        sockets,
        "sockets",
        "Where SIP is received. Without the launcher: `listen=`.",
    )
    advertise: str | None = setting(
        host,
        "address",
        "Public address of a server behind NAT. Without the launcher: `advertise` in `listen=`.",
    )
    sip_domain: tuple[str, ...] | None = setting(
        hosts, "domains", "The domains whose users register here."
    )
    dburl: str = setting(database_url, "URL", "Subscribers and bindings: SQLite or PostgreSQL.")
    run_dir: str = setting(text, "directory", "The pid file and the control socket `kamailio_ctl`.")
    nat_test: int = setting(
        number(0, 1023), "bits", "What counts as behind NAT: the mask of `nat_uac_test`."
    )
    ping_interval: int = setting(
        number(1, 3600),
        "seconds",
        "Between two SIP pings of a binding behind NAT, and between two writes of bindings.",
    )
    ping_timeout: int = setting(
        number(0, 86400),
        "seconds",
        "Without an answer to pings until a binding is removed; 0: never.",
    )
    ping_from: str = setting(sip_uri, "SIP URI", "The From of the pings.")
    min_expires: int = setting(
        number(1, 86400), "seconds", "A shorter registration is refused with 423."
    )
    max_expires: int = setting(
        number(1, 604800), "seconds", "A longer registration is shortened to this."
    )
    default_expires: int = setting(number(1, 604800), "seconds", "Where a phone asks for no time.")
    max_contacts: int = setting(number(1, 100), "bindings", "At most, for one address of record.")
    server_secret: str | None = setting(
        secret,
        "32 characters or more",
        "Seals dialogs and digest nonces; servers that stand in for each other share it."
        " Kept in RUN_DIR by the launcher; else random at each start, which ends running calls.",
    )
    contact_elsewhere: int = setting(
        number(0, 1),
        "0 or 1",
        "Whether phones may be called at another address than the one they register from.",
    )
    trusted_peers: tuple[Network, ...] | None = setting(
        networks,
        "networks",
        "Peers that may say who calls: P-Asserted-Identity, Diversion and the like are removed"
        " from what anybody else sends.",
    )
    digest_algorithm: str = setting(
        algorithm,
        "word",
        "Of digest authentication, for all phones. Each subscriber's hash is of this algorithm:"
        " after a change all passwords are set anew.",
    )
    nonce_expires: int = setting(
        number(5, 86400),
        "seconds",
        "How long a phone may use a digest nonce, with another nc each time.",
    )
    credentials_cache: int = setting(
        number(0, 1),
        "0 or 1",
        "Whether who is registered proves who he is without the database.",
    )
    credentials_outage: int = setting(
        number(0, 86400),
        "seconds",
        "While the database is away, those are served without it for so long.",
    )
    retry_after: int = setting(
        number(1, 3600), "seconds", "Retry-After in a 503, while the database is away."
    )
    max_guesses: int = setting(
        number(1, 1000),
        "passwords",
        "Wrong ones, for one account or from one phone, until no more of them are looked at.",
    )
    ban_time: int = setting(
        number(1, 86400), "seconds", "No more passwords are looked at after the last wrong one."
    )
    # pike keeps it in 16 bits: 65536 would be 0, and block everybody
    max_rate: int = setting(
        number(10, 65535),
        "requests/s",
        "From one address; more are dropped, but for those of its registered phones.",
    )
    fr_timer: int = setting(
        number(500, 300000), "ms", "Without any answer until a request counts as failed."
    )
    fr_inv_timer: int = setting(number(1000, 600000), "ms", "A phone may ring.")
    rtpengine: str | None = setting(
        rtpengine_socket, "socket", "Control socket of rtpengine; media go directly if unset."
    )
    rtp_interface: Mapping[str, str] | None = setting(
        rtp_interfaces,
        "name/address;...",
        "rtpengine's interfaces, where it has one in each of several networks with a socket of"
        " `LISTEN`: a call's two sides are each told the address in theirs.",
    )
    media_ice: str = setting(
        one_of("keep", "force", "remove"), "word", "ICE candidates in SDP when rtpengine relays."
    )
    tls_cert: str | None = setting(
        text, "PEM file", "Server certificate; TLS is on when it is set."
    )
    tls_key: str | None = setting(text, "PEM file", "Its private key.")
    tls_config: str | None = setting(
        text,
        "file",
        "Kamailio's `tls.cfg`, which `kamcmd tls.reload` reads again; the launcher makes one.",
    )
    db_timeout: int = setting(
        number(1, 60),
        "seconds",
        "Without an answer from PostgreSQL until it counts as away, connecting included. All"
        " bindings have to be read within it at start: a million took 1.2 to 2.4 s from memory.",
    )
    children: int = setting(
        number(1, 256),
        "processes",
        "SIP workers of each UDP socket, and of TCP. `make run`: twice the cores, 4 at least.",
    )
    # with 32 Kamailio does not start: 38 are taken before the first binding
    shm_memory: int = setting(
        number(64, 1048576),
        "MB",
        "Shared memory for bindings, transactions and credentials: some 40 from the start, the rest"
        " when it is used.",
    )
    pkg_memory: int = setting(number(4, 1024), "MB", "Memory of each process for itself.")
    log_level: int = setting(
        number(-3, 3), "level", "Kamailio's `debug`: 0 warnings, 1 notices, 2 info, 3 debug."
    )

    # Shared with kamailio.cfg, no operator sets them.
    subscriber_table: str = setting(text, "", "")
    location_table: str = setting(text, "", "")
    flt_caller_nated: int = setting(number(0, 31), "", "")
    flt_caller_ours: int = setting(number(0, 31), "", "")
    flt_sdp_offered: int = setting(number(0, 31), "", "")
    flb_nated: int = setting(number(0, 31), "", "")


# The settings in force: engine.start reads them before the first message.
active: Settings


def define_of(field: attrs.Attribute[Any]) -> str:
    """The name of the #!define behind a field of `Settings`."""
    return field.name.upper()


def is_for_operators(field: attrs.Attribute[Any]) -> bool:
    """Whether a field is a setting, and not a name that kamailio.cfg only shares."""
    return bool(field.metadata["doc"])


def shipped_defaults(cfg: Path = CFG) -> dict[str, str]:
    """The defaults and shared names that kamailio-settings.cfg defines.

    Args:
        cfg: the kamailio.cfg beside which it stands.
    """
    return _defines(cfg.with_name("kamailio-settings.cfg"))


def local_defines(cfg: Path = CFG) -> dict[str, str]:
    """The settings that an operator's kamailio-local.cfg defines; {} where there is none.

    Args:
        cfg: the kamailio.cfg beside which it stands.
    """
    path = cfg.with_name("kamailio-local.cfg")
    names = {define_of(field) for field in attrs.fields(Settings)}
    found = _defines(path) if path.exists() else {}
    return {name: value for name, value in found.items() if name in names}


def _defines(path: Path) -> dict[str, str]:
    lines = path.read_text(errors="replace")
    found = re.findall(r"^#!(?:try)?def(?:ine)?[ \t]+(\w+)[ \t]+(.+?)[ \t]*$", lines, re.M)
    return {name: _unquoted(value) for name, value in found}


def table(cfg: Path = CFG) -> str:
    """The settings as a Markdown table: name, default, unit and meaning."""
    defaults = shipped_defaults(cfg)
    rows = ["| Setting | Default | Takes | What it does |", "|---|---|---|---|"]
    for field in attrs.fields(Settings):
        if not is_for_operators(field):
            continue
        default = defaults.get(define_of(field))
        shown = f"`{default}`" if default else ""
        meta = field.metadata
        rows.append(f"| `{define_of(field)}` | {shown} | {meta['unit']} | {meta['doc']} |")
    return "\n".join(rows) + "\n"


def main(_argv: list[str]) -> int:
    """`kemi-routes settings`: print the table that stands in the README."""
    print(table(), end="")
    return 0


def read(get: Callable[[str], str | None]) -> Settings:
    """Read and check all settings.

    Args:
        get: gives the text of a #!define by its name; None or '' where it is not defined.
    Raises:
        SettingsError: naming every fault, with what would be right.
    """
    return accept(*parse(get))


def parse(get: Callable[[str], str | None]) -> tuple[dict[str, Any], list[str]]:
    """Read all settings: the values of those that are right, and the faults of the others.

    Args:
        get: as for `read`.
    """
    values: dict[str, Any] = {}
    faults: list[str] = []
    for field in attrs.fields(Settings):
        try:
            values[field.name] = _value(field, _unquoted(get(define_of(field)) or ""))
        except ValueError as error:
            faults.append(_fault(define_of(field), str(error)))
    return values, faults + _contradictions(values)


def accept(values: Mapping[str, Any], faults: list[str]) -> Settings:
    """The settings from their values.

    Raises:
        SettingsError: when there are faults.
    """
    if faults:
        raise SettingsError(faults)
    return Settings(**values)


def lookup(environ: Mapping[str, str], cfg: Path = CFG) -> Callable[[str], str | None]:
    """What Kamailio will see as each setting when it is started with this environment."""
    defaults = shipped_defaults(cfg)
    return lambda name: environ.get(name) or defaults.get(name)


def _fault(name: str, message: str) -> str:
    return message if name in message.partition(" (it is ")[0] else f"{name} {message}"


def _value(field: attrs.Attribute[Any], given: str) -> object:
    optional = "None" in str(field.type)
    if not given:
        if optional:
            return None
        raise ValueError("is not set")
    try:
        return field.metadata["parse"](given)
    except ValueError as error:
        shown = "" if field.name in ("dburl", "server_secret") else f" (it is {given!r})"
        raise ValueError(f"{error}{shown}") from None


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    faults = []
    low, high = values.get("min_expires"), values.get("max_expires")
    if low and high and low > high:
        faults.append(f"MIN_EXPIRES {low} is more than MAX_EXPIRES {high}")
    interval, timeout = values.get("ping_interval"), values.get("ping_timeout")
    if interval and timeout and timeout <= interval:
        faults.append(f"PING_TIMEOUT {timeout} must be more than PING_INTERVAL {interval}, or 0")
    if bool(values.get("tls_cert")) != bool(values.get("tls_key")):
        faults.append("TLS_CERT and TLS_KEY go together: only one of them is set")
    return faults


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
