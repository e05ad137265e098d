"""The article's routing in Python, with HA1 in an htable: what KEMI itself takes."""

from __future__ import annotations

import sys
from types import ModuleType

import KSR


def mod_init() -> ModuleType:
    return sys.modules[__name__]


def child_init(_rank: int) -> int:
    return 0


def ksr_request_route(_msg: object) -> int:
    registers = KSR.is_REGISTER()
    if KSR.nathelper.nat_uac_test(19) > 0 and (registers or KSR.siputils.is_first_hop() > 0):
        KSR.nathelper.set_contact_alias()
    if registers:
        _register(KSR.pv.gete("$fd"))
    return 1


def _register(realm: str) -> None:
    if not _proves(realm):
        KSR.force_rport()
        KSR.auth.auth_challenge(realm, 1)
        return
    KSR.force_rport()
    KSR.registrar.save("location", 0)


def _proves(realm: str) -> bool:
    user = KSR.pv.gete("$au")
    if kept := KSR.htable.sht_gete("ha1", user):
        return KSR.auth.pv_auth_check(realm, str(kept), 1, 1) > 0
    if KSR.auth_db.auth_check(realm, "subscriber", 1) < 0:
        return False
    KSR.htable.sht_sets("ha1", user, KSR.pv.gete("$avp(ha1)"))
    return True
