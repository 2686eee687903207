"""A module's source after nodes that it defines or imports were renamed: by syntax tree, with comments and layout kept.

Names in comments, docstrings and quoted annotations are renamed with them, as they are in docstrings of interfaces; in any other
string only a full path (``"pkg.module.name"``), since a word there may be a value. Whether the result still does what it did is for
its tests to say. Knows nothing of plans.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Mapping, Sequence

from zerorepo.values import Value
from zerorepo_rpg.python_source import parse
from zerorepo_rpg.scopes import rename


class Moved(Value):
    """What was ``old`` in the module ``old_module`` (``textkit.slug.core``) is ``new`` in ``new_module``."""

    old: str
    new: str
    old_module: str
    new_module: str


def rename_code(source: str, moves: Sequence[Moved]) -> str:
    """The source with everything renamed. ValueError when it is not Python."""
    text = _in_strings(source, moves)
    tree = parse(text)
    words = {move.old: move.new for move in moves if move.old != move.new}
    text = rename(text, tree, {**words, **_tests_of(tree, words)})
    text = _attributes(text, moves)
    return _imports(text, moves)


def _tests_of(tree: ast.Module, words: Mapping[str, str]) -> dict[str, str]:
    """Tests that are called after what they test."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            for old, new in words.items():
                if re.match(rf"test_{re.escape(old)}(_|$)", node.name):
                    found[node.name] = f"test_{new}" + node.name.removeprefix(f"test_{old}")
    return found


def _in_strings(source: str, moves: Sequence[Moved]) -> str:
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError) as error:
        raise ValueError(f"not Python: {error}") from None
    lines = source.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    speaking = _speaking(parse(source), lines)
    text = source
    for token in reversed(tokens):
        if token.type in kinds:
            start, end = starts[token.start[0] - 1] + token.start[1], starts[token.end[0] - 1] + token.end[1]
            words = token.type == tokenize.COMMENT or token.start in speaking
            text = text[:start] + _renamed(source[start:end], moves, words=words) + text[end:]
    return text


def _speaking(tree: ast.Module, lines: Sequence[str]) -> set[tuple[int, int]]:
    """Where the strings begin that speak of code, by line and column of characters: docstrings and quoted annotations."""
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            found += [each.value for each in node.body[:1] if isinstance(each, ast.Expr)]
        annotations = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        found += [
            each
            for top in annotations
            if isinstance(top, ast.expr)
            for each in ast.walk(top)
            if isinstance(each, ast.expr)
        ]
    return {
        (each.lineno, len(lines[each.lineno - 1].encode()[: each.col_offset].decode()))
        for each in found
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    }


def _renamed(text: str, moves: Sequence[Moved], *, words: bool) -> str:
    """Full paths of what has moved, and with ``words`` its bare names, in one pass: what is new is not renamed again."""
    known = {f"{move.old_module}.{move.old}": f"{move.new_module}.{move.new}" for move in moves}
    if words:
        known |= {move.old: move.new for move in moves}
    longest = sorted(known, key=lambda name: (-len(name), name))
    pattern = rf"(?<![\w.])(?:{'|'.join(map(re.escape, longest))})(?!\w)"
    if words:
        # A bare name may follow a dot, as in `self.name`; a full path may not.
        bare = "|".join(re.escape(move.old) for move in moves)
        pattern = rf"{pattern}|(?<=\.)(?:{bare})(?!\w)"
    return re.sub(pattern, lambda match: known[match[0]], text)


def _attributes(text: str, moves: Sequence[Moved]) -> str:
    """``module.old`` where a whole module was imported."""
    tree = parse(text)
    modules = {move.old_module: move for move in moves}
    names = dict.fromkeys(modules, "")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname and alias.name in modules}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name: module for name, module in whole.items() if module in modules}
    lines = [line.encode() for line in text.split("\n")]
    edits = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or node.end_lineno is None or node.end_col_offset is None:
            continue
        owner = ast.unparse(node.value)
        module = names.get(owner) or owner
        for move in moves:
            if owner in names and module == move.old_module and node.attr == move.old:
                end = node.end_col_offset
                edits.append((node.end_lineno, end - len(move.old.encode()), end, move.new))
    for line, start, end, new in sorted(edits, reverse=True):
        lines[line - 1] = lines[line - 1][:start] + new.encode() + lines[line - 1][end:]
    return b"\n".join(lines).decode()


def _imports(text: str, moves: Sequence[Moved]) -> str:
    """Import statements, each rewritten where it names what has moved."""
    lines = text.split("\n")
    found = [node for node in ast.walk(parse(text)) if isinstance(node, ast.ImportFrom)]
    for node in sorted(found, key=lambda node: node.lineno, reverse=True):
        here = [
            move for move in moves if move.old_module == node.module and any(a.name == move.old for a in node.names)
        ]
        if not here or node.level or node.end_lineno is None:
            continue
        if lines[node.lineno - 1].encode()[: node.col_offset].strip():
            raise ValueError(f"line {node.lineno}: an import that does not stand alone cannot be rewritten")
        by_old = {move.old: move for move in here}
        modules: dict[str, list[ast.alias]] = {}
        for alias in node.names:
            move = by_old.get(alias.name)
            new = ast.alias(move.new, alias.asname) if move else alias
            modules.setdefault(move.new_module if move else node.module or "", []).append(new)
        indent = lines[node.lineno - 1][: node.col_offset]
        new_lines = [
            indent + ast.unparse(ast.ImportFrom(module=module, names=names, level=0))
            for module, names in modules.items()
        ]
        rest = lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode()
        new_lines[-1] += rest
        lines[node.lineno - 1 : node.end_lineno] = new_lines
    return "\n".join(lines)


__all__ = ["Moved", "rename_code"]
