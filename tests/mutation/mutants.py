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

__all__ = ["Mutant", "mutants_of", "tree_of"]

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
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
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.MatMult: ast.Mult,
}
PAIRS = (
    ("min", "max"),
    ("any", "all"),
    ("minimum", "maximum"),
    ("amin", "amax"),
    ("argmin", "argmax"),
    ("floor", "ceil"),
    ("clamp_min", "clamp_max"),
    ("mean", "sum"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
)
METHODS = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])} | {"nansum": "sum"}
BUILTINS = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list"}
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
        return "__all__" in names or _is_union(statement.value)
    return isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING")


def _is_union(node: ast.expr) -> bool:
    """Whether an expression reads as a union of types, such as `int | Sequence[str]`."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.BitOr):
        return False
    parts = [node.left, node.right]
    return all(_is_union(part) or ast.unparse(part)[0].isupper() or _is_builtin_type(part) for part in parts)


def _is_builtin_type(node: ast.expr) -> bool:
    if isinstance(node, ast.Subscript):
        node = node.value
    text = ast.unparse(node)
    return text in ("str", "int", "float", "bool", "bytes", "tuple", "list", "dict", "set", "frozenset", "None")


def _can_go(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Assign):
        return all(isinstance(target, ast.Attribute | ast.Subscript) for target in statement.targets)
    if isinstance(statement, ast.If):  # a body of one statement that can go is the same mutant
        return not statement.orelse and (len(statement.body) > 1 or not _can_go(statement.body[0]))
    return isinstance(statement, ast.Expr | ast.AugAssign | ast.Continue | ast.Break | ast.Raise)


def _of_statement(statement: ast.stmt) -> Iterator[_Change]:
    if isinstance(statement, ast.AugAssign) and not _is_text_or_list(statement.value):
        other = ARITHMETIC.get(type(statement.op))
        if other is not None:
            yield _Change(statement, "op", None, other(), "arithmetic")
    if isinstance(statement, ast.Return) and statement.value is not None and ast.unparse(statement.value) != "None":
        yield _Change(statement, "value", None, ast.Constant(None), "return")
    yield from _of_fields(statement, isinstance(statement, ast.FunctionDef | ast.ClassDef))


def _of_fields(owner: ast.AST, is_default: bool) -> Iterator[_Change]:
    """The changes of the expressions below a node; statements below it are not entered."""
    for field, value in ast.iter_fields(owner):
        if field in SKIPPED_FIELDS:
            continue
        for at, node in enumerate(value) if isinstance(value, list) else ((None, value),):
            if not isinstance(node, ast.AST) or isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
                continue
            if isinstance(node, ast.keyword) and node.arg == "strict":
                continue
            for operator, new in _replacements(node, owner, field):
                kind = "default" if operator == "constant" and is_default else operator
                yield _Change(owner, field, at, new, kind)
            yield from _of_fields(node, is_default and isinstance(node, ast.arguments))


def _is_text_or_list(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str | bytes)
    return isinstance(node, ast.JoinedStr | ast.List | ast.Tuple | ast.ListComp)


def _replacements(node: ast.AST, owner: ast.AST, field: str) -> Iterator[tuple[str, ast.AST]]:
    if field == "test" or (field == "ifs" and isinstance(owner, ast.comprehension)):
        simple = isinstance(node, ast.Compare) and len(node.ops) == 1
        if not simple and not isinstance(node, ast.UnaryOp):
            yield "negation", ast.UnaryOp(ast.Not(), node)  # type: ignore[arg-type]
    if isinstance(node, ast.Compare):
        for at, op in enumerate(node.ops):
            for other in COMPARISONS[type(op)]:
                yield "comparison", _with(node, ops=[*node.ops[:at], other(), *node.ops[at + 1 :]])
    elif isinstance(node, ast.BinOp):
        plain = not _is_text_or_list(node.left) and not _is_text_or_list(node.right) and not _is_union(node)
        if plain and type(node.op) in ARITHMETIC:
            yield "arithmetic", _with(node, op=ARITHMETIC[type(node.op)]())
    elif isinstance(node, ast.UnaryOp):
        yield "arithmetic" if isinstance(node.op, ast.USub) else "negation", node.operand
    elif isinstance(node, ast.BoolOp):
        yield "boolean", _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        for at in range(len(node.values)):
            rest = [*node.values[:at], *node.values[at + 1 :]]
            yield "boolean", rest[0] if len(rest) == 1 else _with(node, values=rest)
    elif isinstance(node, ast.Constant):
        yield from _of_constant(node, owner, field)
    elif isinstance(node, ast.Call):
        yield from _of_call(node)
    elif isinstance(node, ast.Slice):
        for side in ("lower", "upper"):
            bound = getattr(node, side)
            if bound is not None:
                yield "slice", _with(node, **{side: None})
                if not isinstance(bound, ast.Constant):
                    yield "slice", _with(node, **{side: ast.BinOp(bound, ast.Add(), ast.Constant(1))})


def _of_constant(node: ast.Constant, owner: ast.AST, field: str) -> Iterator[tuple[str, ast.AST]]:
    value = node.value
    where = "slice" if isinstance(owner, ast.Slice) or field == "slice" else "constant"
    if isinstance(value, bool):
        yield where, ast.Constant(not value)
    elif isinstance(value, int | float):
        yield where, ast.Constant(value + 1)
        yield where, ast.Constant(value - 1) if value >= 1 else ast.UnaryOp(ast.USub(), ast.Constant(1 - value))


def _of_call(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    function = node.func
    if isinstance(function, ast.Name) and function.id in BUILTINS:
        keywords = [] if function.id == "sorted" else node.keywords
        yield "function", _with(node, func=ast.Name(BUILTINS[function.id], ast.Load()), keywords=keywords)
    if isinstance(function, ast.Attribute) and function.attr in METHODS:
        yield "function", _with(node, func=_with(function, attr=METHODS[function.attr]))
    if isinstance(function, ast.Name) and function.id == "range" and node.args:
        last = len(node.args) - (2 if len(node.args) == 3 else 1)
        if not isinstance(node.args[last], ast.Constant):
            longer = ast.BinOp(node.args[last], ast.Add(), ast.Constant(1))
            yield "constant", _with(node, args=[*node.args[:last], longer, *node.args[last + 1 :]])


def _with(node: ast.AST, **fields: object) -> ast.AST:
    """A shallow copy with other fields."""
    twin = copy.copy(node)
    for name, value in fields.items():
        setattr(twin, name, value)
    return twin
