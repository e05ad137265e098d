"""KSR without Kamailio: `import KSR` in a route speaks to the World of the running test."""

from ksr_stub.dispatch import attribute as __getattr__  # noqa: F401
