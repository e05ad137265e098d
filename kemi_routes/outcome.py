"""What a step of the request route says to the engine."""

from enum import Enum


class Outcome(Enum):
    """CONTINUE: the next step goes on. DONE: the request has its answer, or was passed on."""

    CONTINUE = "continue"
    DONE = "done"


CONTINUE = Outcome.CONTINUE
DONE = Outcome.DONE
