"""What a rule finds, and the codes of all rules."""

from __future__ import annotations

import ast
from pathlib import Path

from attrs import frozen

CODES = {
    "KSR101": "a return code is used as a truth value: the failure -1 is true",
    "KSR201": "no such KSR namespace or function",
    "KSR202": "wrong number of arguments, or keyword arguments",
    "KSR203": "an argument of the wrong type",
    "KSR204": "a value that may be None where None raises",
    "KSR205": "not there in Python, or crashes Kamailio: KSR.x.exit, KSR.drop, KSR.x.modf",
    "KSR206": "a function of a module that kamailio.cfg does not load",
    "KSR301": "a callback that no handler has the name of",
    "KSR302": "a handler that may return no int",
    "KSR303": "a callback that Kamailio calls is missing",
    "KSR401": "a blocking call at import",
    "KSR402": "a connection opened before Kamailio forks its processes",
}


@frozen(order=True)
class Finding:
    """One fault: where, which code of CODES, and what would happen or what to write instead."""

    path: Path
    line: int
    column: int
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.code} {self.message}"


def at(path: Path, node: ast.expr | ast.stmt, code: str, message: str) -> Finding:
    """A finding at a place of the syntax tree; columns count from 1."""
    return Finding(path, node.lineno, node.col_offset + 1, code, message)
