"""Whether callers of the old signature can call the new one: what a change of an interface breaks, by the rules of Python calls.

Knows nothing of plans. Types count only where a result changes; a wider parameter type cannot be told from a narrower one.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

Head = ast.FunctionDef | ast.AsyncFunctionDef


def breaks(old: str, new: str) -> list[str]:
    """What a caller of ``old`` may trip over in ``new``, in words; empty when nothing, or when either cannot be read."""
    before, after = _heads(old), _heads(new)
    found = []
    for name, head in before.items():
        if name not in after:
            found.append(f"`{name}` is gone")
        elif head is not None and (other := after[name]) is not None:
            found += [f"`{name}`: {text}" if len(before) > 1 else text for text in _function(head, other)]
    return found


def _heads(signature: str) -> dict[str, Head | None]:
    """Public callables and fields of a signature by name; a field has no head."""
    text = signature.strip()
    tree = None
    for each in (text, f"{text}\n    ...", f"{text}: ...", f"{text}:\n    ..."):
        try:
            tree = ast.parse(each)
            break
        except SyntaxError:
            continue
    found: dict[str, Head | None] = {}
    for item in tree.body if tree else ():
        if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found[item.name] = item
        elif isinstance(item, ast.ClassDef):
            found[item.name] = None
            found |= _members(item)
    return found


def _members(item: ast.ClassDef) -> Mapping[str, Head | None]:
    found: dict[str, Head | None] = {}
    for each in item.body:
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if not each.name.startswith("_") or each.name.startswith("__"):
                found[f"{item.name}.{each.name}"] = each
        elif (
            isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and not each.target.id.startswith("_")
        ):
            found[f"{item.name}.{each.target.id}"] = None
    return found


def _function(old: Head, new: Head) -> list[str]:
    found = []
    before, after = _positional(old), _positional(new)
    keywords = {*(arg.arg for arg in [*new.args.args, *new.args.kwonlyargs])}
    optional = _with_default(new)
    for place, name in enumerate(before):
        fits = place < len(after) and after[place] == name
        if not fits and not (place >= len(after) and new.args.vararg and place < len(old.args.posonlyargs)):
            at = f", now {_place(new, name)}" if name in keywords or name in after else ""
            found.append(
                f"the parameter `{name}` is no longer number {place + 1}{at}"
                if at
                else f"the parameter `{name}` is gone"
            )
    for arg in [*old.args.args, *old.args.kwonlyargs]:
        if arg.arg not in keywords and not new.args.kwarg and arg.arg in after:
            found.append(f"the parameter `{arg.arg}` can no longer be given by name")
    for arg in old.args.kwonlyargs:
        if arg.arg not in keywords and arg.arg not in after and not new.args.kwarg:
            found.append(f"the parameter `{arg.arg}` is gone")
    known = {*before, *(arg.arg for arg in old.args.kwonlyargs)}
    had = _with_default(old)
    for name in [*after, *(arg.arg for arg in new.args.kwonlyargs)]:
        if name not in optional and name not in known:
            found.append(f"the new parameter `{name}` has no default")
        elif name not in optional and name in had:
            found.append(f"the parameter `{name}` has no default any more")
    for kind, one, other in (("*", old.args.vararg, new.args.vararg), ("**", old.args.kwarg, new.args.kwarg)):
        if one and not other:
            found.append(f"`{kind}{one.arg}` is gone")
    if old.returns and new.returns and ast.unparse(old.returns) != ast.unparse(new.returns):
        found.append(f"it returns `{ast.unparse(new.returns)}` instead of `{ast.unparse(old.returns)}`")
    if isinstance(old, ast.AsyncFunctionDef) != isinstance(new, ast.AsyncFunctionDef):
        found.append("it must be awaited now" if isinstance(new, ast.AsyncFunctionDef) else "it is no longer awaited")
    return list(dict.fromkeys(found))


def _positional(node: Head) -> list[str]:
    return [arg.arg for arg in [*node.args.posonlyargs, *node.args.args]]


def _place(node: Head, name: str) -> str:
    names = _positional(node)
    return f"number {names.index(name) + 1}" if name in names else "given by name only"


def _with_default(node: Head) -> set[str]:
    names = _positional(node)
    found = set(names[len(names) - len(node.args.defaults) :]) if node.args.defaults else set()
    return found | {
        arg.arg for arg, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if value is not None
    }


__all__ = ["breaks"]
