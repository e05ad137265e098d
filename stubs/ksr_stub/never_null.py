"""Pseudo-variables with a value in every message that has passed sanity_check, as 5.6.3 gives it.

`$ru` has one in every request, `$rs` in every reply.
"""

INTEGERS = frozenset(
    [
        *("$bs", "$mf", "$mi", "$ml", "$prid", "$rs", "$sp", "$Rp", "$RAp", "$Ts"),
        *("$T_branch_idx", "$T_reply_code", "$hdrc(Contact)", "$hdrc(Via)"),
    ]
)
STRINGS = frozenset(
    [
        *("$ci", "$fu", "$mb", "$pr", "$proto", "$rm", "$ru", "$si", "$su", "$sut", "$tu"),
        *("$Ri", "$RAi"),
    ]
)
