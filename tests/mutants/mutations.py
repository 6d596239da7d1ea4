"""Small faults to put into a module, to see whether its tests notice: the text of the module in, its mutants out.

A mutant is one place in the syntax tree and one other thing to stand there. It is named by what it does, not by its line,
so that its name lasts while the lines around it come and go.
"""

from __future__ import annotations

import ast
import copy
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "reversed": "list", "sorted": "list"}
_METHODS = {"append": "appendleft", "appendleft": "append", "popleft": "pop", "rpartition": "partition", "startswith": "endswith", "endswith": "startswith"}
_WORD = re.compile(r"[a-z_]+")  # a string that means something to the program; others are for people
_SQL = re.compile(r"\b(SELECT|INSERT|DELETE|BEGIN|COMMIT|CREATE|WHERE|PRAGMA)\b")
_IN_SQL = (
    (" < ", " <= "),
    (" < ", " > "),
    (" <> ", " = "),
    (" = ", " <> "),
    (" NOT IN ", " IN "),
    (" IN (", " NOT IN ("),
    (" AND ", " OR "),
    (" OR target", " AND target"),
    (" ORDER BY number", ""),
    (" ORDER BY number", " ORDER BY number DESC"),
    ("OR REPLACE", "OR IGNORE"),
    ("COMMIT", "ROLLBACK"),
    ("ROLLBACK", "COMMIT"),
    (" IMMEDIATE", ""),
    (" UNIQUE", ""),
)
_NOTHING = "nothing"


class Mutant(NamedTuple):
    """One fault: `name` says where (the function and the line's text) and what; `line` counts from 1."""

    name: str
    line: int
    place: int
    variant: int


class _Place(NamedTuple):
    holder: ast.AST
    field: str
    index: int | None
    node: ast.AST
    scope: str
    making: bool  # in `__init__`


def mutants(source: str) -> list[Mutant]:
    """All of a module's, in the order of its tree."""
    lines = source.splitlines()
    found: list[Mutant] = []
    seen: Counter[str] = Counter()
    for number, place in enumerate(_places(ast.parse(source))):
        before = ast.unparse(place.node)
        for variant, other in enumerate(_variants(place)):
            line = place.node.lineno  # type: ignore[attr-defined]
            what = f"{before} → {_NOTHING if isinstance(other, ast.Pass) else ast.unparse(other)}"
            name = f"{place.scope} | {lines[line - 1].strip()} | {what}"
            seen[name] += 1
            found.append(Mutant(name if seen[name] == 1 else f"{name} ({seen[name]})", line, number, variant))
    return found


def mutated(source: str, mutant: Mutant) -> ast.Module:
    """The module's tree with this fault in it, ready to be compiled."""
    tree = ast.parse(source)
    place = list(_places(tree))[mutant.place]
    other = ast.copy_location(_variants(place)[mutant.variant], place.node)
    if place.index is None:
        setattr(place.holder, place.field, other)
    else:
        getattr(place.holder, place.field)[place.index] = other
    return ast.fix_missing_locations(tree)


def _places(tree: ast.Module) -> Iterator[_Place]:
    """Every node that may be another one; not annotations, decorators, docstrings, imports and slots, whose faults no behaviour shows."""

    def visit(holder: ast.AST, scope: str) -> Iterator[_Place]:
        for field, value in ast.iter_fields(holder):
            if field in ("annotation", "returns", "decorator_list", "format_spec") or (field == "keywords" and isinstance(holder, ast.ClassDef)):
                continue
            for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if not isinstance(node, ast.AST) or isinstance(node, ast.Import | ast.ImportFrom | ast.expr_context):
                    continue
                if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                    continue
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__slots__":
                    continue
                if isinstance(node, ast.stmt | ast.expr):
                    yield _Place(holder, field, index, node, scope or "module", scope.endswith("__init__"))
                inner = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                yield from visit(node, f"{scope}.{node.name}".lstrip(".") if inner else scope)  # type: ignore[attr-defined]

    return visit(tree, "")


def _variants(place: _Place) -> list[ast.AST]:
    """What else could stand there."""
    node = place.node
    found: list[ast.AST] = []
    if isinstance(place.holder, ast.If | ast.While | ast.IfExp) and place.field == "test" and isinstance(node, ast.Name | ast.Attribute | ast.Call):
        found.append(ast.UnaryOp(ast.Not(), node))
    if isinstance(node, ast.Compare):
        for at, operator in enumerate(node.ops):
            found += [_with(node, ops=[*node.ops[:at], other(), *node.ops[at + 1 :]]) for other in _COMPARISONS[type(operator)]]
    elif isinstance(node, ast.BoolOp):
        found.append(_with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And()))
        found += [_with(node, values=node.values[:at] + node.values[at + 1 :]) for at in range(len(node.values)) if len(node.values) > 2]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        found.append(node.operand)
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        found.append(_with(node, op=_OPERATORS[type(node.op)]()))
    elif isinstance(node, ast.Constant):
        found += [ast.Constant(other) for other in _constants(node.value)]
    elif isinstance(node, ast.Call):
        found += _calls(node)
    elif isinstance(node, ast.stmt):
        found += _statements(node, making=place.making)
    return found


def _constants(value: object) -> list[object]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, float):
        return [value * 2, value / 2] if value else [1.0]
    if isinstance(value, str) and _WORD.fullmatch(value):
        return [f"x{value}"]
    if isinstance(value, str) and _SQL.search(value):
        return [f"{value[: at.start()]}{after}{value[at.end() :]}" for before, after in _IN_SQL for at in re.finditer(re.escape(before), value)]
    return []


def _calls(node: ast.Call) -> list[ast.AST]:
    if isinstance(node.func, ast.Name) and node.func.id in _NAMES:
        return [_with(node, func=ast.Name(_NAMES[node.func.id], ast.Load()))]
    if isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
        return [_with(node, func=_with(node.func, attr=_METHODS[node.func.attr]))]
    return []


def _statements(node: ast.stmt, *, making: bool) -> list[ast.AST]:
    """Left out, or ended otherwise. A local name that is never set would be too easy to see."""
    if isinstance(node, ast.Return):
        if node.value is None:
            return [ast.Pass()]
        plain = isinstance(node.value, ast.Constant) or (isinstance(node.value, ast.List) and not node.value.elts)
        return [] if plain else [ast.Return(ast.Constant(None))]
    if isinstance(node, ast.AugAssign):
        other = [_with(node, op=_OPERATORS[type(node.op)]())] if type(node.op) in _OPERATORS else []
        return [ast.Pass(), *other]
    if isinstance(node, ast.Continue | ast.Break):
        return [ast.Break() if isinstance(node, ast.Continue) else ast.Continue()]
    if isinstance(node, ast.Expr):
        return [] if isinstance(node.value, ast.Yield | ast.Await) else [ast.Pass()]
    if isinstance(node, ast.Raise | ast.Delete):
        return [ast.Pass()]
    if isinstance(node, ast.Assign) and not making and any(isinstance(part, ast.Attribute | ast.Subscript) for part in ast.walk(node.targets[0])):
        return [ast.Pass()]
    return []


def _with(node: ast.AST, **fields: object) -> ast.AST:
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other
