"""The pseudo-variables of the core and of the pv module: importing this registers them."""

from ksr_stub.pv.variables import (  # noqa: F401
    auth,
    branch,
    characters,
    contents,
    counts,
    environment,
    flags,
    header_values,
    headers,
    network,
    parties,
    stores,
    target,
    times,
)  # fmt: skip
