"""KSR3xx: callbacks that Kamailio calls by name, and what they return."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator, Mapping, Sequence

from ksr_stub.rules.finding import Finding, at
from ksr_stub.rules.script import Function, Script

_TAKES_CALLBACK = {"t_on_branch", "t_on_branch_failure", "t_on_failure", "t_on_reply"}
_UNDECORATED = {"staticmethod", "classmethod", "override", "typing.override"}
_NO_INT = (str, bytes, float, complex, type(None), type(...))


def check(scripts: Sequence[Script], configured: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the faults of all scripts together: a callback may be in another file than its name.

    Args:
        scripts: all files of one routing script.
        configured: the `kemi.*_callback` settings of kamailio.cfg: {"onsend_route": "none"}.
    """
    handlers = set().union(*(_defined(script) for script in scripts))
    named = {name for script in scripts for name, _ in _named(script)}
    named |= {"child_init", "ksr_request_route", "ksr_reply_route", "ksr_onsend_route"}
    named |= set(configured.values())
    # What the script calls itself may return what it likes.
    own = set().union(*(_called(script) for script in scripts)) - named
    for script in scripts:
        for name, node in _named(script):
            if name and name not in handlers:
                yield at(script.path, node, "KSR301", _no_handler(name, handlers))
        for function in script.functions:
            name = function.name
            if name in named or (name.startswith("ksr_") and name not in own):
                yield from _returns(script, function)
            elif name == "mod_init":
                yield from _mod_init(script, function)
        yield from _missing(script, handlers, configured)


def _named(script: Script) -> Iterator[tuple[str, ast.expr]]:
    """The callbacks that the script names by a literal or by a constant of the module."""
    for node in script.nodes:
        signature = script.signature(node)
        if signature and signature.name in _TAKES_CALLBACK and isinstance(node, ast.Call):
            for argument in node.args[:1]:
                name = script.text(argument)
                if signature.namespace == "tm" and name is not None:
                    yield name, argument


def _called(script: Script) -> set[str]:
    calls = [node.func for node in script.nodes if isinstance(node, ast.Call)]
    return {call.id for call in calls if isinstance(call, ast.Name)} | {
        call.attr for call in calls if isinstance(call, ast.Attribute)
    }


def _defined(script: Script) -> set[str]:
    names = {function.name for function in script.functions}
    for node in script.nodes:
        if isinstance(node, ast.ImportFrom):
            names.update(name.asname or name.name for name in node.names)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.id if isinstance(node, ast.Name) else node.attr)
    return names


def _no_handler(name: str, handlers: set[str]) -> str:
    callbacks = {handler for handler in handlers if handler.startswith("ksr_")}
    near = difflib.get_close_matches(name, callbacks, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"no handler {name!r} in these files: Kamailio says nothing and calls nothing{hint}"


def _missing(
    script: Script, handlers: set[str], configured: Mapping[str, str]
) -> Iterator[Finding]:
    request = [f for f in script.functions if f.name == "ksr_request_route"]
    if not request:
        return
    wanted = {"child_init": "every Kamailio process ends at start without it"}
    if "script_child_init" in handlers:  # a script for app_python3s
        wanted = {}
    if script.version == "5.6":
        for route, effect in (
            ("reply_route", "after each reply the next KSR call of that worker raises SystemError"),
            ("onsend_route", "KSR.tm.t_relay() raises SystemError after it has sent"),
        ):
            name = configured.get(route, f"ksr_{route}")
            if name != "none":
                wanted[name] = f"{effect}; define it, or set kemi.{route}_callback to none"
    for name, effect in wanted.items():
        if name not in handlers:
            yield at(script.path, request[0], "KSR303", f"no {name} in these files: {effect}")


def _returns(script: Script, function: Function) -> Iterator[Finding]:
    if any(".".join(script.dotted(one)) not in _UNDECORATED for one in function.decorator_list):
        return
    poison = "on 5.6 the next KSR call of this worker raises SystemError"
    if script.version != "5.6":
        poison = "Kamailio wants an int"
    if isinstance(function, ast.AsyncFunctionDef) or _has_yield(function):
        yield at(script.path, function, "KSR302", f"{function.name} returns no int: {poison}")
        return
    for statement in _own(function):
        if not isinstance(statement, ast.Return):
            continue
        if shown := _no_int(script, statement.value, {function.name}):
            message = f"{function.name} returns {shown} and no int: {poison}"
            yield at(script.path, statement, "KSR302", message)
    if not _ends(function.body):
        message = f"{function.name} can end without return, so with None: {poison}"
        yield at(script.path, function, "KSR302", message)


def _mod_init(script: Script, function: Function) -> Iterator[Finding]:
    if not _ends(function.body):
        message = (
            "mod_init can return None: Kamailio refuses to start; return the object with the"
            " callbacks, or sys.modules[__name__]"
        )
        yield at(script.path, function, "KSR302", message)


def _own(function: Function) -> Iterator[ast.AST]:
    """Everything in a function but the functions within it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))


def _has_yield(function: Function) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _own(function))


def _no_int(script: Script, node: ast.expr | None, callers: set[str]) -> str:
    """How a returned value that is no int looks in the source; '' if it may be one."""
    match node:
        case None:
            return "None"
        case ast.Constant(value=value) if isinstance(value, _NO_INT):
            return repr(value)
        case ast.JoinedStr() | ast.List() | ast.Tuple() | ast.Dict() | ast.Set():
            return ast.unparse(node)
        case ast.IfExp(body=body, orelse=orelse):
            return _no_int(script, body, callers) or _no_int(script, orelse, callers)
        case (
            ast.Call(func=ast.Name(id=name))
            | ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name))
        ):
            return _gives_none(script, name, callers)
        case ast.Call():
            signature = script.signature(node)
            if signature and signature.returns == "XVAL":
                return f"the value of {signature.full_name}()"
    return ""


def _gives_none(script: Script, name: str, callers: set[str]) -> str:
    """The same for the value of a function of this script; '' for other functions."""
    for function in script.functions:
        if function.name != name or name in callers or function.decorator_list:
            continue
        returned = [one for one in _own(function) if isinstance(one, ast.Return)]
        if not _ends(function.body) or any(
            _no_int(script, one.value, callers | {name}) for one in returned
        ):
            return f"the value of {name}(), which may be None"
    return ""


def _ends(body: Sequence[ast.stmt]) -> bool:
    """Whether a block surely returns, raises or exits."""
    return any(_statement_ends(statement) for statement in body)


def _statement_ends(statement: ast.stmt) -> bool:
    match statement:
        case ast.Return() | ast.Raise():
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name("sys"), attr="exit"))):
            return True
        case ast.If(body=body, orelse=orelse):
            return _ends(body) and _ends(orelse)
        case ast.With(body=body):
            return _ends(body)
        case ast.While(test=ast.Constant(value=True)):
            return not any(isinstance(node, ast.Break) for node in ast.walk(statement))
        case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final):
            caught = all(_ends(handler.body) for handler in handlers)
            return _ends(final) or (caught and (_ends(body) or _ends(orelse)))
        case ast.Match(cases=cases):
            last = cases[-1]
            anything = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None
            return anything and not last.guard and all(_ends(case.body) for case in cases)
    return False
