"""`kemi-routes run`: check the settings, make the database, and start Kamailio."""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kemi_routes import secret_files, settings
from kemi_routes.settings import Settings, SettingsError
from kemi_routes.subscribers.credentials import generate_password
from kemi_routes.subscribers.errors import StoreError, SubscriberExists
from kemi_routes.subscribers.schema import initialise
from kemi_routes.subscribers.store import open_store
from kemi_routes.supervisor import LOGS, NOT_STARTED, Supervisor

SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
PACKAGE_PARENT = Path(__file__).resolve().parent.parent
WRONG_SETTINGS = 2
TLS_CONFIG = "tls.cfg"
DEMO_USERS = ("1111", "2222")
# unix(7): the path of a socket has 107 bytes at most
MAX_RUN_DIR = 107 - len("/kamailio_rpc.sock")
BIND_HINTS = {
    errno.EADDRINUSE: ": is another Kamailio running?",
    errno.EADDRNOTAVAIL: ": it is none of this machine's, which `ip address` shows",
    errno.EACCES: ": ports below 1024 are for root",
}


def main(argv: list[str]) -> int:
    """Run Kamailio in the foreground until SIGINT or SIGTERM.

    Args:
        argv: the words after `kemi-routes run`.
    Returns:
        0 after a clean end, 1 when Kamailio did not start, 2 for wrong settings.
    """
    options = _parse(argv)
    try:
        environ = complete(dict(os.environ), options.config)
        active = check(environ, options.config, starts=not options.check)
    except SettingsError as error:
        print(f"kemi-routes: {error}", file=sys.stderr)
        return WRONG_SETTINGS
    if options.check:
        print("kemi-routes: the settings are in order")
        return 0
    secret_files.make_certificate(active, Path(environ["SECRETS_DIR"]))
    write_tls_config(active)
    try:
        initialise(active.dburl)
        made = add_demo_subscribers(active) if options.demo else {}
    except StoreError as error:
        print(f"kemi-routes: {error}", file=sys.stderr)
        return NOT_STARTED
    message = greeting(active, made) if options.log == "text" else ready(active)
    kamailio = ["-f", str(options.config), *memory_options(active), *listen_options(active)]
    return Supervisor(active, environ, kamailio, log=options.log).run(message)


def complete(environ: dict[str, str], cfg: Path) -> dict[str, str]:
    """Fill in what this machine can tell: addresses, directories, secrets.

    Args:
        environ: the environment as it was given; empty variables count as not set, and a
            kamailio-local.cfg wins over it, as in Kamailio.
        cfg: the kamailio.cfg that will be run.
    Returns:
        The environment for Kamailio.
    """
    environ = {**environ, **settings.local_defines(cfg)}
    environ = {name: value for name, value in environ.items() if value.strip()}
    environ.setdefault("RUN_DIR", str(PACKAGE_PARENT / "var"))
    environ.setdefault("SECRETS_DIR", environ["RUN_DIR"])
    for name in {"RUN_DIR", "SECRETS_DIR", "TLS_CERT", "TLS_KEY", "TLS_CONFIG"} & environ.keys():
        environ[name] = str(Path(environ[name]).absolute())  # Kamailio runs in RUN_DIR
    run_dir, secrets_dir = environ["RUN_DIR"], Path(environ["SECRETS_DIR"])
    environ.setdefault("LISTEN", _usual_sockets(tls="TLS_CERT" in environ))
    first_host = environ["LISTEN"].split()[0].partition(":")[2].rpartition(":")[0]
    environ.setdefault("SIP_DOMAIN", environ.get("ADVERTISE", first_host))
    environ.setdefault("DBURL", f"sqlite://{run_dir}/kamailio.sqlite")
    environ.setdefault("KEMI_SCRIPT", str(cfg.parent / "kemi.py"))
    environ.setdefault("CHILDREN", str(workers(len(os.sched_getaffinity(0)))))
    environ.setdefault("SERVER_SECRET", secret_files.server_secret(secrets_dir))
    if "tls:" in environ["LISTEN"] and not {"TLS_CERT", "TLS_KEY"} & environ.keys():
        environ["TLS_CERT"] = str(secrets_dir / secret_files.CERTIFICATE)
        environ["TLS_KEY"] = str(secrets_dir / secret_files.CERTIFICATE_KEY)
    if "TLS_CERT" in environ:
        environ.setdefault("TLS_CONFIG", f"{run_dir}/{TLS_CONFIG}")
    environ["DBURL"] = _as_kamailio_reads(environ["DBURL"])
    environ["PATH"] = SYSTEM_PATH
    environ["PYTHONPATH"] = str(PACKAGE_PARENT)
    environ.pop("PYTHONHOME", None)
    return environ


def workers(cores: int) -> int:
    """SIP workers for a machine: two on each core, for one that waits for the database leaves its
    core to another, and four at least. More cost memory, and CPU: their caches push out each other.
    """
    return min(256, max(4, 2 * cores))


def check(environ: Mapping[str, str], cfg: Path, *, starts: bool = True) -> Settings:
    """Read the settings, and check also what only this machine can tell.

    Args:
        environ: the environment that Kamailio will get, as `complete` returns it.
        cfg: the kamailio.cfg that will be run.
        starts: a Kamailio will be started; without, its ports may be in use: by itself.
    Raises:
        SettingsError: naming every fault.
    """
    return settings.accept(*faults_of(environ, cfg, starts=starts))


def faults_of(
    environ: Mapping[str, str], cfg: Path, *, starts: bool
) -> tuple[dict[str, Any], list[str]]:
    """The same for who has more to check: the values that are right, and the faults."""
    values, faults = settings.parse(settings.lookup(environ, cfg))
    faults += machine_faults(values, Path(environ["SECRETS_DIR"]), starts=starts)
    return values, faults


def machine_faults(
    values: Mapping[str, Any], secrets_dir: Path | None = None, *, starts: bool = True
) -> list[str]:
    """What this machine can't do for these settings, each with what would be right.

    Args:
        values: settings by the name of their field; those that are wrong may be missing.
        secrets_dir: a certificate in it will be made; RUN_DIR if it has no other place.
        starts: a Kamailio will be started; without, its ports may be in use: by itself.
    """
    faults = []
    run_dir = values["run_dir"]
    if not (Path(run_dir).is_dir() and os.access(run_dir, os.W_OK | os.X_OK)):
        faults.append(f"RUN_DIR {run_dir} is no directory that can be written")
    if len(os.fsencode(run_dir)) > MAX_RUN_DIR:
        faults.append(f"RUN_DIR {run_dir} is too long for sockets: {MAX_RUN_DIR} bytes at most")
    for item in values.get("listen") or ():
        if (reason := _not_ours(item, free=starts)) is not None:
            faults.append(f"LISTEN {item}: {reason}")
    ours = {secrets_dir, Path(run_dir)}
    for name in ("tls_cert", "tls_key", "tls_config"):
        path = values.get(name)
        made_up = path is not None and Path(path).parent in ours
        if path is not None and not made_up and not os.access(path, os.R_OK):
            faults.append(f"{name.upper()} {path} can't be read: name a file that can")
    if shutil.which("kamailio", path=SYSTEM_PATH) is None:
        faults.append("kamailio is not installed: `make run` installs it on Debian")
    return faults


def write_tls_config(active: Settings) -> None:
    """Write Kamailio's `tls.cfg` where the operator has none: only what is in such a file can be
    read again without a restart."""
    path = Path(active.run_dir) / TLS_CONFIG
    if active.tls_config == str(path):
        certificate = f"certificate = {active.tls_cert}\nprivate_key = {active.tls_key}\n"
        path.write_text(
            f"[server:default]\nmethod = TLSv1.2+\n{certificate}\n"
            f"[client:default]\nmethod = TLSv1.2+\n{certificate}"
        )


def listen_options(active: Settings) -> list[str]:
    """Kamailio's `-l` options: the sockets, each with the address that it advertises."""
    options = []
    for item in active.listen or ():
        proto, _, rest = item.partition(":")
        host, _, port = rest.rpartition(":")
        advertised = f"/{active.advertise}:{port}" if _advertises(active.advertise, host) else ""
        options += ["-l", f"{proto}:{host}:{port}{advertised}"]
    return options


def memory_options(active: Settings) -> list[str]:
    """Kamailio's options for its memory, which can't stand in kamailio.cfg.

    tlsf takes the same short time for each piece, however many there are; the default, qm, is made
    to find faults, and searches and checks its lists.
    """
    return ["-x", "tlsf", "-m", str(active.shm_memory), "-M", str(active.pkg_memory)]


def add_demo_subscribers(active: Settings) -> dict[str, str]:
    """Add two subscribers to play with, where they don't exist yet.

    Returns:
        The generated passwords of those that were added, by AoR.
    """
    made = {}
    with open_store(active.dburl, active.digest_algorithm) as store:
        for user in DEMO_USERS:
            aor = f"{user}@{(active.sip_domain or ('',))[0]}"
            password = generate_password()
            try:
                store.add(aor, password)
            except SubscriberExists:
                continue
            made[aor] = password
    return made


def greeting(active: Settings, passwords: dict[str, str]) -> str:
    """What the newcomer reads when Kamailio answers.

    Args:
        active: the settings.
        passwords: those of the demo subscribers that were made just now, by AoR.
    """
    domain = (active.sip_domain or ("",))[0]
    lines = ["", "Kamailio is ready.", f"  it listens on  {' '.join(active.listen or ())}"]
    if active.advertise:
        lines.append(f"  it is known as {active.advertise}")
    lines.append(f"  its domain is  {domain}")
    if passwords:
        lines.append("Point two phones at it. Their passwords are shown this once:")
        lines += [f"  {aor}  password {password}" for aor, password in passwords.items()]
        lines.append("and call one from the other.")
    lines.append("Next, in another terminal:")
    lines.append(f"  .venv/bin/kemi-routes subscriber add 3333@{domain}")
    lines.append(
        f"  kamcmd -s unixs:{active.run_dir}/kamailio_ctl ul.lookup location 1111@{domain}"
    )
    return "\n".join([*lines, "Ctrl-C ends it; the data stay.", ""])


def ready(active: Settings) -> str:
    """The same for a log, in one line."""
    place = f" as {active.advertise}" if active.advertise else ""
    domains = " ".join(active.sip_domain or ())
    return f"Kamailio is ready on {' '.join(active.listen or ())}{place} for {domains}"


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="kemi-routes run", description=__doc__)
    parser.add_argument("--config", type=Path, default=settings.CFG, help="the kamailio.cfg to run")
    parser.add_argument(
        "--no-demo", dest="demo", action="store_false", help="add no demo subscribers"
    )
    parser.add_argument("--log", choices=LOGS, default="text", help="json: one line an entry")
    parser.add_argument("--check", action="store_true", help="check the settings, start nothing")
    return parser.parse_args(argv)


def _as_kamailio_reads(dburl: str) -> str:
    try:
        return settings.database_url(dburl)
    except ValueError:
        return dburl  # named with all other faults


def _usual_sockets(*, tls: bool) -> str:
    address = _address_towards_internet()
    return f"udp:{address}:5060 tcp:{address}:5060" + (f" tls:{address}:5061" if tls else "")


def _address_towards_internet() -> str:
    # connecting a UDP socket sends nothing: it asks the kernel for its route
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _not_ours(item: str, *, free: bool) -> str | None:
    proto, _, rest = item.partition(":")
    host, _, port = rest.rpartition(":")
    kind = socket.SOCK_DGRAM if proto == "udp" else socket.SOCK_STREAM
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError as error:
            if error.errno == errno.EADDRINUSE and not free:
                return None
            hint = BIND_HINTS.get(error.errno or 0, "")
            return f"{(error.strerror or str(error)).lower()}{hint}"
    return None


def _advertises(advertise: str | None, host: str) -> bool:
    if advertise is None:
        return False
    of_one_family = advertise.startswith("[") == host.startswith("[")
    return of_one_family or not secret_files.is_address(advertise)
