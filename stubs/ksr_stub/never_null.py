"""Pseudo-variables that have a value in every message that has passed sanity_check."""

INTEGERS = frozenset(
    [
        *("$bs", "$cl", "$mf", "$mi", "$ml", "$rs", "$sp", "$Rp", "$RAp", "$Ts"),
        *("$branch(count)", "$T_branch_idx", "$T_reply_code", "$hdrc(Contact)", "$hdrc(Via)"),
    ]
)
STRINGS = frozenset(
    [
        *("$si", "$su", "$sut", "$Ri", "$RAi", "$rm", "$proto", "$pr", "$prid", "$mb"),
        *("$ru", "$ci", "$fu", "$tu"),
    ]
)
