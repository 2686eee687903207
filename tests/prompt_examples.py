"""For each prompt file of the rule sets the variables that it is rendered with. A new file without an entry fails a test.

``FRAGMENTS`` are files that are no prompts by themselves but parts of every one.
"""

from __future__ import annotations

from pathlib import Path

RULES = Path(__file__).resolve().parents[1] / "rules"
FRAGMENTS = {
    "zerorepo_llm/prompts/preamble.md",
    "zerorepo_llm/prompts/answer_json.md",
    "zerorepo_llm/prompts/answer_python.md",
}
_NODE = {"name": "make_slug", "import_path": "tinytext.slugs.core", "interface": "def make_slug(text: str) -> str"}
_USED = {"available": "from tinytext.words.core import split_words"}
_REPAIR = {
    **_NODE,
    **_USED,
    "code": "def make_slug(text): ...",
    "tests": "def test_it(): ...",
    "output": "AssertionError",
    "found": "neighbours slugs/make_slug: it uses words/split_words",
}
_STAGED = {
    "subject": "the data flow from `words` to `slugs`",
    "interfaces": "from tinytext.slugs.core import make_slug",
    "tests": "def test_it(): ...",
    "output": "AssertionError",
}

EXAMPLES: dict[str, dict[str, object]] = {
    "zerorepo_ontology/prompts/name_capabilities.md": {
        "area": "Web / HTTP",
        "capabilities": "1. Client reqrep: request headers, response body\n2. Session cookies: cookie jar, cookie policy",
    },
    "zerorepo_ontology/prompts/self_check.md": {
        "requirements": "It cuts a slug to a length.",
        "candidates": "1. shorten a text at a word (Natural language / Text processing)",
    },
    "zerorepo_ontology/prompts/missing_features.md": {
        "requirements": "It cuts a slug to a length.",
        "selected": "replace accented letters",
    },
    "zerorepo_rpg/prompts/base_classes.md": {
        "package": "tinytext",
        "title": "Tinytext",
        "features": "slugs: make-slug",
        "old": '{"classes": []}',
    },
    "zerorepo_rpg/prompts/diagnose_staged.md": {**_STAGED, "status": "failed"},
    "zerorepo_rpg/prompts/repair_staged.md": {**_STAGED, "diagnosis": "It demands too much."},
    "zerorepo_rpg/prompts/integration_tests.md": {
        "source": "words",
        "module": "slugs",
        "flows": "words (list[str]): The words of a title.",
        "source_interfaces": "from tinytext.words.core import split_words",
        "interfaces": "from tinytext.slugs.core import make_slug",
        "available": "from tinytext.shared.core import Title",
        "objection": "it uses nothing of the module `words`",
    },
    "zerorepo_rpg/prompts/smoke_tests.md": {
        "package": "tinytext",
        "description": "Titles become addresses.",
        "features": "Make a slug: joins words",
        "interfaces": "from tinytext import make_slug",
        "command": "tinytext",
        "command_function": "main()",
        "objection": "it never calls `main()`",
    },
    "zerorepo_rpg/prompts/correct_interface.md": {
        **_REPAIR,
        "requirements": "- `make_slug(text)` joins words.",
        "diagnosis": "It contradicts itself.",
    },
    "zerorepo_rpg/prompts/diagnose.md": {**_REPAIR, "status": "failed"},
    "zerorepo_rpg/prompts/features.md": {
        "title": "Tinytext",
        "description": "Titles become addresses.",
        "requirements": "make-slug (MUST): `make_slug(text)` joins words.",
        "named": "make_slug(text)",
        "old": "[]",
        "added": "make-slug",
        "reworded": "none",
        "removed": "none",
        "existing": "tinytext/words/core.py\n  function split_words",
        "references": "note: Slugs are those of RFC 3986.",
    },
    "zerorepo_rpg/prompts/files.md": {
        "module": "slugs",
        "folder": "tinytext/slugs",
        "description": "All about slugs.",
        "features": "make-slug: make_slug — joins words",
        "old": '{"files": []}',
        "existing": "tinytext/words/core.py\n  function split_words",
    },
    "zerorepo_rpg/prompts/implement.md": {
        **_NODE,
        **_USED,
        "dependencies": "rich, PyYAML>=6",
        "permissions": "filesystem",
        "requirements": "- `make_slug(text)` joins words.",
        "file_imports": "import re",
    },
    "zerorepo_rpg/prompts/interfaces.md": {
        "package": "tinytext",
        "description": "Titles become addresses.",
        "dependencies": "rich",
        "module": "slugs",
        "module_description": "All about slugs.",
        "features": "make-slug: joins words",
        "files": "tinytext/slugs/core.py: make-slug",
        "named": "make_slug(text)",
        "available": "words/split_words",
        "flows": "words -> slugs: words (str)",
        "old": '{"interfaces": []}',
        "existing": "tinytext/words/core.py\n  function split_words",
        "limits": "SHOULD, performance, on make-slug: A slug takes a millisecond.",
        "references": "note: Slugs are those of RFC 3986.",
    },
    "zerorepo_rpg/prompts/limits.md": {
        "title": "Tinytext",
        "description": "Titles become addresses.",
        "limits": "a-slug-takes (SHOULD, performance): A slug takes a millisecond.",
        "features": "make-slug: make_slug — joins words",
        "rules": "typed: Everything is annotated.",
        "old": "[]",
        "doubted": True,
    },
    "zerorepo_rpg/prompts/localize.md": {**_REPAIR, "status": "failed", "left": "20"},
    "zerorepo_rpg/prompts/mend_interfaces.md": {
        "package": "tinytext",
        "modules": "slugs",
        "problems": "- slugs/make_slug: the name `make_slug` is taken [exported_names]",
        "interfaces": "[]",
        "bases": "[]",
        "others": "words/split_words",
    },
    "zerorepo_rpg/prompts/model_conflicts.md": {
        "text": "It is read-only. It writes files.",
        "known": "none",
        "fields": "constraints, wording",
    },
    "zerorepo_rpg/prompts/suggest.md": {"text": "It is fast.", "known": "- say how fast"},
    "zerorepo_rpg/prompts/modules.md": {
        "title": "Tinytext",
        "how_many": "Three to ten modules.",
        "features": "make-slug: make_slug",
        "old": '{"modules": []}',
        "existing": "tinytext/words/core.py\n  function split_words",
    },
    "zerorepo_rpg/prompts/parse_section.md": {
        "heading": "Tinytext > Slugs",
        "text": "- `make_slug(text)` joins words.",
    },
    "zerorepo_rpg/prompts/repair_code.md": {**_REPAIR, "permissions": "network", "diagnosis": "It joins by spaces."},
    "zerorepo_rpg/prompts/repair_tests.md": {**_REPAIR, "diagnosis": "It demands too much."},
    "zerorepo_rpg/prompts/tests.md": {**_NODE, **_USED, "requirements": "- `make_slug(text)` joins words."},
}
FILES = sorted(f"{path.parts[-3]}/prompts/{path.name}" for path in RULES.glob("*/prompts/**/*") if path.is_file())


def template(name: str) -> tuple[str, str]:
    """``zerorepo_rpg/prompts/tests.md`` as a ``Template``."""
    package, _, path = name.partition("/")
    return package, path
