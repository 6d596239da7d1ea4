"""Which module imports which, read from the text, and whether any two need each other."""

from __future__ import annotations

import ast

Graph = dict[str, set[str]]


def graph_of(sources: dict[str, str]) -> Graph:
    """The imports at run time among the modules of `sources`: dotted name → text. Packages end in `.__init__`."""
    names = {name.removesuffix(".__init__") for name in sources}
    graph: Graph = {}
    for name, text in sources.items():
        module = name.removesuffix(".__init__")
        package = module if name.endswith(".__init__") else module.rpartition(".")[0]
        graph[module] = {target for target in _targets(ast.parse(text), package, names) if target != module}
    return graph


def cycle_in(graph: Graph) -> list[str]:
    """One way round, its first module again at its end; empty where there is none."""
    done: set[str] = set()
    for start in sorted(graph):
        way: list[str] = []
        found = _walk(start, graph, done, way)
        if found:
            return found
    return []


def _walk(module: str, graph: Graph, done: set[str], way: list[str]) -> list[str]:
    if module in way:
        return [*way[way.index(module) :], module]
    if module in done:
        return []
    way.append(module)
    for target in sorted(graph.get(module, ())):
        found = _walk(target, graph, done, way)
        if found:
            return found
    way.pop()
    done.add(module)
    return []


def _targets(tree: ast.Module, package: str, names: set[str]) -> set[str]:
    guarded = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    typing_only = {child for node in guarded for part in node.body for child in ast.walk(part)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            origin = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            source = ".".join(part for part in (origin, node.module or "") if part)
            found |= {f"{source}.{alias.name}" if f"{source}.{alias.name}" in names else source for alias in node.names}
    return found & names
