"""The budgets of the house as pure checks: the text of a file in, what is wrong with it out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

FILE_LINES = 400
FUNCTION_LINES = 60
PUBLIC_NAMES = 10
BANNED = {"utils", "helpers", "common", "manager", "handler", "factory", "core", "base", "misc", "models"}
BROAD = {"Exception", "BaseException"}

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def too_many_lines(text: str, most: int = FILE_LINES) -> list[str]:
    lines = text.count("\n") + (not text.endswith("\n") and text != "")
    return [f"{lines} lines, {most} at most"] if lines > most else []


def long_functions(tree: ast.Module, most: int = FUNCTION_LINES) -> list[str]:
    return [
        f"{name} has {node.end_lineno - node.lineno + 1} lines, {most} at most"
        for name, node in functions(tree)
        if node.end_lineno is not None and node.end_lineno - node.lineno + 1 > most
    ]


def globals_used(tree: ast.Module) -> list[str]:
    return [f"line {node.lineno}: global {', '.join(node.names)}" for node in ast.walk(tree) if isinstance(node, ast.Global)]


def opening(tree: ast.Module) -> list[str]:
    """Wrong unless the module's docstring opens with one sentence on one line."""
    docstring = ast.get_docstring(tree)
    if not docstring:
        return ["no docstring: open with one sentence that says what the module is for"]
    first, _, rest = docstring.partition("\n")
    if not first.endswith((".", "!", "?")):
        return [f"the docstring's first line is not a whole sentence: {first!r}"]
    if re.search(r"[a-z)`][.!] +[A-Z`]", first):  # a question may have its answer beside it
        return [f"the docstring opens with more than one sentence: {first!r}"]
    if rest and not rest.startswith("\n"):
        return ["an empty line is missing after the docstring's first sentence"]
    return []


def broad_excepts(tree: ast.Module) -> list[str]:
    """The functions, by qualified name, that catch everything: `except:`, `except Exception`, `suppress(Exception)`."""
    found: list[str] = []
    inner: set[ast.AST] = set()
    for name, function in reversed(list(functions(tree))):  # innermost first, so that each catch has one owner
        nodes = [node for node in ast.walk(function) if node not in inner]
        inner.update(nodes)
        found += [name for node in nodes if _is_broad(node)]
    found += ["<module>" for node in ast.walk(tree) if node not in inner and _is_broad(node)]
    return sorted(found)


def functions(tree: ast.Module) -> Iterator[tuple[str, _Function]]:
    """Every function with its qualified name, outer ones before inner ones."""

    def visit(node: ast.AST, prefix: str) -> Iterator[tuple[str, _Function]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{prefix}{child.name}", child
                yield from visit(child, f"{prefix}{child.name}.")
            elif isinstance(child, ast.ClassDef):
                yield from visit(child, f"{prefix}{child.name}.")
            else:
                yield from visit(child, prefix)

    yield from visit(tree, "")


def banned_name(path: str) -> list[str]:
    """Wrong where a folder or file of `path` has a name that says nothing."""
    parts = PurePosixPath(path).with_suffix("").parts
    names = {part.removeprefix("test_").strip("_") for part in parts}
    return [f"{name!r} says nothing: name it for the one thing in it" for name in sorted(names & BANNED)]


def _is_broad(node: ast.AST) -> bool:
    if isinstance(node, ast.ExceptHandler):
        return node.type is None or _names(node.type) & BROAD != set()
    if isinstance(node, ast.Call):
        return _names(node.func) == {"suppress"} and any(_names(argument) & BROAD for argument in node.args)
    return False


def _names(node: ast.expr) -> set[str]:
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, ast.Attribute):
        return {node.attr}
    if isinstance(node, ast.Tuple):
        return set().union(*(_names(element) for element in node.elts))
    return set()
