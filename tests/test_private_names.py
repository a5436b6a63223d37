"""No class hides a private name of a library's class that it inherits from."""

import ast
import importlib
import inspect
import pkgutil
import textwrap
import threading
from contextlib import suppress

import revisit


def assigned(source: str) -> set[str]:
    """Names that a class gives to itself, in its body and to `self`."""
    kind = ast.parse(textwrap.dedent(source)).body[0]
    found = {
        node.attr
        for node in ast.walk(kind)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    for node in kind.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            found |= {
                target.id
                for target in getattr(node, "targets", None) or [node.target]
                if isinstance(target, ast.Name)
            }
    return found


def private(names) -> set[str]:
    return {name for name in names if name.startswith("_") and not name.endswith("__")}


def hidden(kind: type) -> set[str]:
    """Private names of a class that a library's class below it has too."""
    theirs = set()
    for base in kind.__mro__[1:]:
        if base is object or base.__module__.partition(".")[0] == "revisit":
            continue
        theirs |= set(vars(base))
        with suppress(OSError, TypeError):  # written in C: what it keeps has no name
            theirs |= assigned(inspect.getsource(base))
    return private(assigned(inspect.getsource(kind))) & theirs


def classes() -> list[type]:
    found = {}
    for module in pkgutil.walk_packages(revisit.__path__, "revisit."):
        if module.name != "revisit.__main__":
            for kind in vars(importlib.import_module(module.name)).values():
                if inspect.isclass(kind) and kind.__module__.partition(".")[0] == "revisit":
                    found[kind] = None
    return list(found)


class Planted(threading.Thread):
    def __init__(self):
        super().__init__()
        self._target = self._mine = 1

    def _bootstrap(self):
        pass


def test_a_hidden_name_is_found():
    assert hidden(Planted) == {"_target", "_bootstrap"}


def test_no_class_hides_a_private_name_of_a_librarys_class():
    found = classes()
    assert len(found) > 100
    assert {kind.__qualname__: names for kind in found if (names := hidden(kind))} == {}


def test_no_class_is_a_thread_or_a_process():
    """What they keep for themselves changes with the version of Python; hold one instead."""
    bases = {f"{base.__module__}.{base.__qualname__}" for kind in classes() for base in kind.__mro__}
    assert not {
        name
        for name in bases
        if name in ("threading.Thread", "multiprocessing.process.BaseProcess", "subprocess.Popen")
    }
