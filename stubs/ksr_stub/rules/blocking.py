"""KSR4xx: what must not run while Kamailio loads the script, before it forks its processes."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ksr_stub.rules.finding import Finding, at
from ksr_stub.rules.script import Function, Script

_CONNECTS = (
    "psycopg.connect", "psycopg.Connection.connect", "psycopg2.connect", "psycopg_pool.",
    "sqlite3.connect", "MySQLdb.connect", "pymysql.connect", "mysql.connector.connect",
    "oracledb.connect", "redis.Redis", "redis.StrictRedis", "redis.from_url", "pymongo.MongoClient",
    "socket.create_connection", "socket.socket.connect",
)  # fmt: skip
_BLOCKS = (
    "time.sleep", "requests.", "httpx.", "urllib.request.urlopen", "urllib.request.urlretrieve",
    "urllib3.", "http.client.", "socket.getaddrinfo", "socket.gethostbyname",
    "socket.gethostbyaddr", "subprocess.run", "subprocess.call", "subprocess.check_call",
    "subprocess.check_output", "subprocess.Popen", "subprocess.getoutput", "os.system", "os.popen",
    "input",
)  # fmt: skip


def check(script: Script) -> Iterator[Finding]:
    """Yield blocking calls at import, and connections opened at import or in mod_init."""
    sockets = set(_sockets(script))
    for node in _with_called(script, list(_at_import(script.tree))):
        yield from _call(script, node, sockets, "at import")
    started = [one for one in script.tree.body if isinstance(one, Function)]
    inits = [list(ast.walk(one)) for one in started if one.name == "mod_init"]
    for node in _with_called(script, [node for init in inits for node in init]):
        yield from _call(script, node, sockets, "in mod_init")


def _call(script: Script, node: ast.AST, sockets: set[str], where: str) -> Iterator[Finding]:
    if not isinstance(node, ast.Call):
        return
    name = ".".join(script.dotted(node.func))
    owner, _, method = name.rpartition(".")
    if owner in sockets:
        name = f"socket.socket.{method}"
    if _matches(name, _CONNECTS):
        shared = "all Kamailio processes share it after the fork; open it in child_init"
        message = f"{name}() {where}: {shared}"
        yield at(script.path, node, "KSR402", message)
    elif where == "at import" and _matches(name, _BLOCKS):
        message = f"{name}() {where} holds up the start, and each reload in each process"
        yield at(script.path, node, "KSR401", message)


def _with_called(script: Script, nodes: list[ast.AST]) -> Iterator[ast.AST]:
    """These, and all that runs in the functions and classes of this script that they call."""
    bodies: dict[str, ast.AST] = {function.name: function for function in script.functions}
    for node in script.nodes:
        if isinstance(node, ast.ClassDef):
            for one in node.body:
                if isinstance(one, Function) and one.name == "__init__":
                    bodies[node.name] = one
    seen: set[str] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.Call):
            path = script.dotted(node.func)
            called = path[-1] if len(path) == 1 or path[:-1] == ("self",) else ""
            if called in bodies and called not in seen:
                seen.add(called)
                waiting += ast.walk(bodies[called])


def _matches(name: str, table: tuple[str, ...]) -> bool:
    return any(name == one or (one.endswith(".") and name.startswith(one)) for one in table)


def _sockets(script: Script) -> Iterator[str]:
    """The names that a new socket is assigned to."""
    for node in script.nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=function)):
                if script.dotted(function) == ("socket", "socket"):
                    yield name


def _at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """What runs when the file is imported: not the functions, nor what is for `python file.py`."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, Function):
            waiting.extend([*node.decorator_list, *node.args.defaults])
        elif isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
            waiting.extend(node.orelse)
        elif not isinstance(node, ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))
