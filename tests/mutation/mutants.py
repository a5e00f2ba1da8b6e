"""All mutants of a source text: copies with one small change, such as `<` for `<=`, that tests should notice.

Left out, since no test of behaviour can see them: type hints, docstrings, decorators, imports, `__all__`, assertions,
the arguments of `raise`, and `strict=` of `zip`, which only guards against our own mistakes. Texts are never changed.
"""

from __future__ import annotations

import ast
import copy
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from .operators import ARITHMETIC, is_text_or_list, is_union, replacements

__all__ = ["Mutant", "mutants_of", "tree_of"]

SKIPPED_FIELDS = {"decorator_list", "annotation", "returns", "type_params", "ctx"}
_TOKEN = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?|\w+|\s+|[-+*/<>=!|&]=|\*\*|//|<<|>>|[^\w\s]")
UNTOUCHED = (ast.Import, ast.ImportFrom, ast.Assert, ast.Global, ast.Nonlocal)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed copy of a module.

    Attributes:
        number: its place among the mutants of the module, in source order.
        scope: the qualified name of the function or class; empty for the module.
        operator: the kind of change.
        text: the change with the code around it, "len(x) {< -> <=} 2"; with the scope it names the mutant.
        line: where it is now; no part of its name.
    """

    number: int
    scope: str
    operator: str
    text: str
    line: int


@dataclass(slots=True)
class _Change:
    """Puts a node in another one's place: a field of `owner`, or one item of a field that is a list."""

    owner: ast.AST
    field: str
    at: int | None
    new: ast.AST
    operator: str

    def swap(self) -> None:
        """Makes the change; a second call undoes it."""
        if self.at is None:
            old = getattr(self.owner, self.field)
            setattr(self.owner, self.field, self.new)
        else:
            items = getattr(self.owner, self.field)
            old, items[self.at] = items[self.at], self.new
        self.new = old


def mutants_of(source: str) -> list[Mutant]:
    """All mutants, in source order. No two have the same name, and none is the source."""
    found: dict[tuple[str, str, str, int], tuple[int, str]] = {}
    for number, (scope, statement, change) in enumerate(_changes(ast.parse(source))):
        before = _head(statement)
        change.swap()
        after = "pass" if change.operator == "deletion" else _head(statement)
        change.swap()
        if before != after:
            found.setdefault((scope, before, after, getattr(statement, "lineno", 0)), (number, change.operator))
    texts = _texts([(scope, before, after) for scope, before, after, _ in found])
    return [
        Mutant(number, scope, operator, text, line)
        for ((scope, _, _, line), (number, operator)), text in zip(found.items(), texts, strict=True)
    ]


def _texts(changes: Sequence[tuple[str, str, str]]) -> list[str]:
    """The short text of each (scope, before, after), as long as it must be to differ from all others of its scope."""
    texts = [_difference(before, after, 30) for _, before, after in changes]
    for width in (60, 120, 100_000):
        often = Counter((scope, text) for (scope, _, _), text in zip(changes, texts))
        texts = [
            text if often[scope, text] == 1 else _difference(before, after, width)
            for (scope, before, after), text in zip(changes, texts)
        ]
    seen: Counter[tuple[str, str]] = Counter()
    for at, (scope, _, _) in enumerate(changes):  # the same statement twice in one function
        seen[scope, texts[at]] += 1
        if (nth := seen[scope, texts[at]]) > 1:
            texts[at] += f" (no. {nth})"
    return texts


def _difference(before: str, after: str, width: int) -> str:
    """What differs between two texts, in braces, with `width` characters on each side."""
    old, new = (_TOKEN.findall(text) for text in (before, after))
    head = _same(old, new)
    tail = min(_same(old[::-1], new[::-1]), len(old) - head, len(new) - head)
    left, right = "".join(old[:head]), "".join(old[len(old) - tail :])
    left = left if len(left) <= width else "..." + left[-width:]
    right = right if len(right) <= width else right[:width] + "..."
    return f"{left}{{{''.join(old[head : len(old) - tail])} -> {''.join(new[head : len(new) - tail])}}}{right}"


def _same(old: Sequence[str], new: Sequence[str]) -> int:
    """How many parts two lists have in common from the start."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new)))


def tree_of(source: str, number: int) -> ast.Module:
    """The syntax tree of a mutant."""
    tree = ast.parse(source)
    for at, (_, _, change) in enumerate(_changes(tree)):
        if at == number:
            change.swap()
            return ast.fix_missing_locations(tree)
    raise ValueError(f"there is no mutant {number}")


def _head(statement: ast.stmt) -> str:
    """A statement in one line; of a compound one without its body."""
    if hasattr(statement, "body"):
        statement = copy.copy(statement)
        for field in ("body", "orelse", "finalbody", "handlers", "decorator_list"):
            if hasattr(statement, field):
                setattr(statement, field, [])
        statement.body = [ast.Expr(ast.Constant(...))]  # type: ignore[attr-defined]
        if isinstance(statement, ast.Try):
            statement.finalbody = [ast.Pass()]
    return " ".join(ast.unparse(statement).split())


def _changes(tree: ast.Module) -> Iterator[tuple[str, ast.stmt, _Change]]:
    """(scope, statement, change) of every mutant; each is undone before the next is asked for."""
    yield from _of_body(tree, "body", "", "")


def _of_body(owner: ast.AST, field: str, scope: str, inner: str) -> Iterator[tuple[str, ast.stmt, _Change]]:
    for at, statement in enumerate(list(getattr(owner, field))):
        if isinstance(statement, UNTOUCHED) or _is_untouched(statement):
            continue
        if _can_go(statement):
            yield scope, statement, _Change(owner, field, at, ast.Pass(), "deletion")
        if isinstance(statement, ast.Raise):
            continue
        here, below = scope, inner
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            here = inner + statement.name
            below = f"{here}.<locals>."
        elif isinstance(statement, ast.ClassDef):
            here = inner + statement.name
            below = f"{here}."
        for change in _of_statement(statement):
            yield here, statement, change
        for block in ("body", "orelse", "finalbody"):
            if isinstance(getattr(statement, block, None), list):
                yield from _of_body(statement, block, here, below)
        for part in [*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())]:
            yield from _of_body(part, "body", here, below)


def _is_untouched(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.Assign):
        names = {target.id for target in statement.targets if isinstance(target, ast.Name)}
        return "__all__" in names or is_union(statement.value)
    return isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING")


def _can_go(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Assign):
        return all(isinstance(target, ast.Attribute | ast.Subscript) for target in statement.targets)
    if isinstance(statement, ast.If):  # a body of one statement that can go is the same mutant
        return not statement.orelse and (len(statement.body) > 1 or not _can_go(statement.body[0]))
    return isinstance(statement, ast.Expr | ast.AugAssign | ast.Continue | ast.Break | ast.Raise)


def _of_statement(statement: ast.stmt) -> Iterator[_Change]:
    if isinstance(statement, ast.AugAssign) and not is_text_or_list(statement.value):
        other = ARITHMETIC.get(type(statement.op))
        if other is not None:
            yield _Change(statement, "op", None, other(), "arithmetic")
    if isinstance(statement, ast.Return) and statement.value is not None and ast.unparse(statement.value) != "None":
        yield _Change(statement, "value", None, ast.Constant(None), "return")
    yield from _of_fields(statement, isinstance(statement, ast.FunctionDef | ast.ClassDef))


def _of_fields(owner: ast.AST, is_default: bool) -> Iterator[_Change]:
    """The changes of the expressions below a node; statements below it are not entered.

    Args:
        owner: the node.
        is_default: whether they are of the head of a function or class: computed where it is defined.
    """
    for field, value in ast.iter_fields(owner):
        if field in SKIPPED_FIELDS:
            continue
        for at, node in enumerate(value) if isinstance(value, list) else ((None, value),):
            if not isinstance(node, ast.AST) or isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
                continue
            if isinstance(node, ast.keyword) and node.arg == "strict":
                continue
            for operator, new in replacements(node, owner, field):
                yield _Change(owner, field, at, new, "default" if is_default else operator)
            yield from _of_fields(node, is_default)
