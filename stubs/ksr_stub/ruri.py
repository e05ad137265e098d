"""Rewriting parts of the R-URI: SET_USER_T, SET_HOST_T, SET_PORT_T of core/action.c."""

from __future__ import annotations

from ksr_stub import uri as uris
from ksr_stub.uri import Uri
from ksr_stub.world import World


def rewrite(
    world: World, *, user: str | None = None, host: str | None = None, port: str | None = None
) -> bool:
    """Replace one part of the R-URI in force.

    Args:
        world: its message gets a new URI.
        user: the new user; '' removes user and password.
        host: the new host, as it is.
        port: the new port, as it is; '' removes it.
    Returns:
        False where the URI can't be parsed, or a tel URI shall get a port.
    """
    found = uris.parse(world.msg.uri)
    if found is None:
        world.say(-1, f"core: bad uri <{world.msg.uri}>, dropping packet")
        return False
    plain_tel = found.scheme == "tel"
    if plain_tel and port is not None:
        world.say(-1, "core: port number of a tel: URI cannot be set")
        return False
    new_user = found.user if user is None else user
    out = _scheme(found, host) + (new_user + _password(found, new_user))
    if plain_tel:
        out += f";{found.params}" if "params" in found.given else ""
    elif found.kind in ("tel", "tels"):
        out += f";{found.user_params}" if "user_params" in found.given else ""
    if host is not None or found.scheme in ("sip", "sips"):
        out += ("@" if new_user else "") + (found.host if host is None else host)
    out += _tail(found, port)
    if plain_tel and host is not None:
        out += ";user=phone"
    world.msg.new_uri = out + (f"?{found.headers}" if "headers" in found.given else "")
    return True


def _scheme(found: Uri, host: str | None) -> str:
    if found.scheme == "tel" and host is None:
        return "tel:"
    return "sips:" if found.scheme == "sips" and found.kind in ("sips", "tels") else "sip:"


def _password(found: Uri, user: str) -> str:
    return f":{found.password}" if user and "password" in found.given else ""


def _tail(found: Uri, port: str | None) -> str:
    shown = (found.port if found.port_given else None) if port is None else port or None
    out = "" if shown is None else f":{shown}"
    sip = found.scheme in ("sip", "sips")
    return out + (f";{found.params}" if sip and "params" in found.given else "")
