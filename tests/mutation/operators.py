"""What an expression is replaced by: one small change each."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

__all__ = ["ARITHMETIC", "is_text_or_list", "is_union", "replacements"]

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


def is_union(node: ast.expr) -> bool:
    """Whether an expression reads as a union of types, such as `int | Sequence[str]`."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.BitOr):
        return False
    parts = [node.left, node.right]
    return all(is_union(part) or ast.unparse(part)[0].isupper() or _is_builtin_type(part) for part in parts)


def _is_builtin_type(node: ast.expr) -> bool:
    if isinstance(node, ast.Subscript):
        node = node.value
    text = ast.unparse(node)
    return text in ("str", "int", "float", "bool", "bytes", "tuple", "list", "dict", "set", "frozenset", "None")


def is_text_or_list(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str | bytes)
    return isinstance(node, ast.JoinedStr | ast.List | ast.Tuple | ast.ListComp)


def replacements(node: ast.AST, owner: ast.AST, field: str) -> Iterator[tuple[str, ast.AST]]:
    if field == "test" or (field == "ifs" and isinstance(owner, ast.comprehension)):
        simple = isinstance(node, ast.Compare) and len(node.ops) == 1
        if not simple and not isinstance(node, ast.UnaryOp):
            yield "negation", ast.UnaryOp(ast.Not(), node)  # type: ignore[arg-type]
    if isinstance(node, ast.Compare):
        for at, op in enumerate(node.ops):
            for other in COMPARISONS[type(op)]:
                yield "comparison", _with(node, ops=[*node.ops[:at], other(), *node.ops[at + 1 :]])
    elif isinstance(node, ast.BinOp):
        plain = not is_text_or_list(node.left) and not is_text_or_list(node.right) and not is_union(node)
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
