"""What a kamailio.cfg tells the World: defines, modules, their parameters, sockets, aliases.

Read are `#!define` and its relatives, `loadmodule`, `modparam` (and both with an x), `listen`,
`alias`, `import_file`, `include_file` and other core parameters, which go to the module name
`core`. The routing blocks of a native config are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import attrs

from ksr_stub import pv
from ksr_stub.message import Socket
from ksr_stub.world import World

# Parameters that may be given several times, each time with more.
REPEATABLE = {
    ("htable", "htable"), ("sqlops", "sqlcon"), ("pv", "varset"), ("pv", "avpset"),
    ("rtpengine", "rtpengine_sock"), ("statistics", "variable"), ("rtimer", "timer"),
    ("rtimer", "exec"), ("usrloc", "preload"), ("mqueue", "mqueue"),
    ("pipelimit", "pipe"), ("counters", "script_counter"),
}  # fmt: skip
_DIRECTIVE = re.compile(r"#!(\w+)[ \t]*(.*)")
# what a line outside of routes can be; the first one that fits
_STATEMENTS = {
    "block": re.compile(r"^(?:\w+_)?route\b"),
    "loadmodule": re.compile(r'^(loadmodulex?)\s*\(?\s*"([^"]+)"'),
    "modparam": re.compile(
        r'^(modparamx?)\s*\(\s*"([^"]+)"\s*,\s*"([^"]+)"\s*,\s*(.+?)\s*\)\s*;?\s*(?:#.*)?$',
        re.DOTALL,
    ),
    "include": re.compile(r'^(import_file|include_file)\s+"([^"]+)"'),
    "listen": re.compile(r"^listen\s*=\s*(\S+)(?:\s+advertise\s+(\S+))?", re.IGNORECASE),
    "alias": re.compile(r"^alias\s*=\s*(.+?)\s*(?:#.*)?$", re.IGNORECASE),
    "core": re.compile(r"^([a-z_][\w.]*)\s*=\s*(.+?)\s*;?\s*(?:#.*)?$"),
    "other": re.compile(r""),
}
_WORDS = {"yes": 1, "no": 0, "on": 1, "off": 0, "true": 1, "false": 0}
_SOCKET = re.compile(r"(?:(udp|tcp|tls|sctp|ws|wss):)?(\[[^\]]+\]|[^:\s]+)(?::(\d+))?$")


class ConfigError(Exception):
    """A kamailio.cfg that Kamailio would not start with, or that is not understood here."""


@attrs.define
class Config:
    """What was read, and the environment that `#!trydefenv` reads from."""

    environ: Mapping[str, str] = attrs.Factory(dict)
    defines: dict[str, str] = attrs.Factory(dict)
    params: dict[tuple[str, str], object] = attrs.Factory(dict)
    sockets: list[Socket] = attrs.Factory(list)
    aliases: set[str] = attrs.Factory(set)
    modules: set[str] = attrs.Factory(set)
    _conditions: list[bool] = attrs.Factory(list)
    _substitutions: dict[str, str] = attrs.Factory(dict)
    _depth: int = 0
    _in_block: bool = False

    def read(self, path: Path) -> None:
        """Read a file and what it includes.

        Raises:
            ConfigError: it is missing, or a line is not understood.
        """
        if not path.exists():
            raise ConfigError(f"{path} does not exist")
        depth, folder = len(self._conditions), path.parent
        for number, line in _logical_lines(path.read_text()):
            try:
                self._line(line, folder)
            except ConfigError as error:
                raise ConfigError(f"{path}:{number}: {error}") from None
        if len(self._conditions) != depth:
            raise ConfigError(f"{path}: an #!ifdef has no #!endif")

    def add_param(self, modules: str, name: str, value: object) -> None:
        """Set a module parameter; `auth|auth_db` sets it of both."""
        for module in modules.split("|"):
            key = (module, name)
            if key in REPEATABLE:
                before = self.params.get(key, ())
                self.params[key] = (*before, value) if isinstance(before, tuple) else (value,)
            else:
                self.params[key] = value

    def _line(self, line: str, folder: Path) -> None:
        directive = _DIRECTIVE.match(line)
        if directive is not None:
            self._directive(directive[1].lower(), directive[2].strip())
        elif all(self._conditions):
            for pattern, text in self._substitutions.items():
                line = re.sub(pattern, text, line)
            self._statement(line, folder)

    def _directive(self, name: str, rest: str) -> None:
        if name in ("ifdef", "ifndef"):
            self._conditions.append((rest.split()[0] in self.defines) == (name == "ifdef"))
        elif name in ("else", "endif"):
            if not self._conditions:
                raise ConfigError(f"#!{name} without #!ifdef")
            last = self._conditions.pop()
            if name == "else":
                self._conditions.append(not last)
        elif name in ("ifexp", "defexp", "defexps"):
            raise ConfigError(f"#!{name} is not understood: set the define in the test instead")
        elif all(self._conditions):
            self._define(name, rest)

    def _define(self, name: str, rest: str) -> None:
        key, _, value = rest.partition(" ") if " " in rest else rest.partition("\t")
        if name in ("define", "def", "redefine", "redef", "trydefine", "trydef"):
            if name in ("redefine", "redef") or key not in self.defines:
                self.defines[key] = value.strip()
        elif name in ("subst", "substdef", "substdefs") and len(rest) > 2:
            _, key, value = rest.strip('"').split(rest.strip('"')[0])[:3]
            self._substitutions[key] = value
            if name != "subst":
                self.defines[key] = f'"{value}"' if name == "substdefs" else value
        elif name in ("defenv", "defenvs", "trydefenv", "trydefenvs"):
            self._define_from_environment(name, rest)

    def _define_from_environment(self, name: str, rest: str) -> None:
        variable, equals, key = rest.partition("=")
        value = self.environ.get(variable)
        if value is None:
            if not name.startswith("try"):
                raise ConfigError(f"#!{name} {rest}: the environment has no {variable}")
            return
        text = f'"{value}"' if name.endswith("s") else value
        self.defines.setdefault(key if equals else variable, text)

    def _statement(self, line: str, folder: Path) -> None:
        kind, match = _recognised(line)
        if self._in_block or kind == "block":
            self._depth += line.count("{") - line.count("}")
            self._in_block = self._depth > 0 or ("{" not in line and "}" not in line)
        elif kind == "loadmodule":
            file = self._value(match[2], expand=match[1][-1] == "x")
            self.modules.add(module_name(str(file)))
        elif kind == "modparam":
            if self.modules and not self._is_loaded(match[2]):
                raise ConfigError(
                    f"a parameter of {match[2]}, which no loadmodule before it loads: Kamailio"
                    " does not start"
                )
            self.add_param(match[2], match[3], self._value(match[4], expand=match[1][-1] == "x"))
        elif kind == "include":
            included = folder / match[2]
            if included.exists() or match[1] == "include_file":
                self.read(included)
        elif kind == "listen":
            self.sockets.append(parse_socket(self._token(match[1]), self._token(match[2] or "")))
        elif kind == "alias":
            words = " ".join(self._token(word) for word in match[1].split())
            self.aliases.update(_host(word) for word in words.split())
        elif kind == "core":
            value = self._value(match[2], expand=False)
            known = _WORDS.get(value, value) if isinstance(value, str) else value
            self.params["core", match[1]] = known

    def _is_loaded(self, modules: str) -> bool:
        """Whether one of the modules is loaded that a name, or a pattern, stands for."""
        plain = modules in self.modules
        return plain or any(re.fullmatch(modules, one) for one in self.modules)

    def _token(self, text: str) -> str:
        """The text with the defines that it names, some of them by other defines."""
        for _ in range(10):
            known = re.sub(r"[A-Za-z_]\w*", lambda word: self.defines.get(word[0], word[0]), text)
            if known == text:
                break
            text = known.replace('"', "")
        return _unquoted(text)

    def _value(self, text: str, *, expand: bool) -> object:
        if re.fullmatch(r"\w+", text) and text in self.defines:
            text = self.defines[text]
        if re.fullmatch(r"[+-]?\d+|0x[0-9a-fA-F]+", text):
            return int(text, 0) if text.startswith("0x") else int(text)
        plain = _unquoted(text).replace('\\"', '"')
        return self._expand(plain) if expand else plain

    def _expand(self, text: str) -> str:
        """The text with the values of the variables in it, as Kamailio takes them at start."""
        world = World(strict=False, defines=self.defines, environ={**self.environ})
        return pv.evaluate(world, text) or ""


def module_name(file: str) -> str:
    """`tm` of `/usr/lib/kamailio/modules/tm.so`."""
    return file.rpartition("/")[2].removesuffix(".so")


def parse_socket(text: str, advertise: str = "") -> Socket:
    """`udp:192.0.2.1:5060`, as in `listen=`.

    Args:
        text: protocol (default udp), address (IPv6 in brackets) and port (default 5060).
        advertise: `host:port` or `host` that Via and Record-Route show.
    Raises:
        ConfigError: it is no socket.
    """
    match = _SOCKET.match(text)
    if match is None:
        raise ConfigError(f"{text!r} is no socket: write e.g. udp:192.0.2.1:5060")
    proto = match[1] or "udp"
    port = int(match[3] or (5061 if proto == "tls" else 5060))
    shown = _SOCKET.match(advertise) if advertise else None
    return Socket(
        proto,
        match[2].strip("[]"),
        port,
        shown[2].strip("[]") if shown else "",
        int(shown[3] or port) if shown else 0,
    )


@lru_cache(maxsize=4096)  # a suite reads the same files for each of its tests
def _recognised(line: str) -> tuple[str, re.Match[str]]:
    return next((kind, found) for kind, form in _STATEMENTS.items() if (found := form.match(line)))


@lru_cache(maxsize=16)
def _logical_lines(text: str) -> list[tuple[int, str]]:
    """The lines without blanks, comments and blocks, a modparam over several lines in one."""
    found: list[tuple[int, str]] = []
    pending, start, inside_comment = "", 0, False
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if inside_comment or line.startswith("/*"):
            inside_comment = "*/" not in line
            continue
        if not line or (line.startswith("#") and not line.startswith("#!")):
            continue
        if line.startswith("#!KAMAILIO"):
            continue
        start = start if pending else number
        pending = f"{pending} {line}" if pending else line
        if pending.startswith("modparam") and ")" not in pending:
            continue
        found.append((start, pending))
        pending = ""
    return found


def _host(alias: str) -> str:
    match = _SOCKET.match(alias)
    return (match[2] if match else alias).strip("[]").lower()


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
