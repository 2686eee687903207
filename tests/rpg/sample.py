"""A small plan with everything in it, and code for it: three modules, a shared base class, several nodes in one file."""

from __future__ import annotations

from zerorepo_rpg.plan_model import (
    BaseClasses,
    BaseClassPlan,
    DataFlow,
    Feature,
    FeatureSet,
    FileLayout,
    FilePlan,
    InterfaceKind,
    ModuleInterfaces,
    ModulePlan,
    ModuleSet,
    NodeInterface,
    Plan,
)
from zerorepo_rpg.spec_model import RepositorySpec, Requirement

FEATURES = ("split-words", "clean-text", "make-slug", "unique-slug", "slug-table", "word-count")


def spec() -> RepositorySpec:
    return RepositorySpec(
        title="Textkit",
        description="Slugs and words. For people who name files.",
        package_name="textkit",
        requirements=tuple(Requirement(id=f"r-{name}", text=f"It can {name}.", section="what") for name in FEATURES),
        license="MIT",
    )


def _node(module: str, file: str, signature: str, feature: str, **more: object) -> NodeInterface:
    head = signature.split("(")[0].split(":")[0].split()
    name = head[-1]
    kind = InterfaceKind.CLASS if "class " in signature else InterfaceKind.FUNCTION
    if kind is InterfaceKind.CLASS:
        name = signature.split("class ")[1].split("(")[0].split(":")[0]
    return NodeInterface.model_validate(
        {
            "id": f"{module}/{name}",
            "module": module,
            "file": file,
            "name": name,
            "kind": kind,
            "signature": signature,
            "docstring": f"What {name} does.",
            "features": (feature,),
            **more,
        }
    )


TABLE = '''\
@dataclass
class SlugTable:
    """Slugs by title."""

    entries: dict[str, str] = field(default_factory=dict)

    def add(self, title: str, *, limit: int = 80) -> str:
        """Add a title and return its slug."""
        ...

    def __len__(self) -> int:
        """How many."""
        ...
'''


def plan() -> Plan:
    core, unique = "textkit/slug/core.py", "textkit/slug/table.py"
    words = (
        _node("words", "textkit/words/splitting.py", "def split_words(text: str) -> list[str]", FEATURES[0]),
        _node(
            "words",
            "textkit/words/splitting.py",
            "def clean(text: str) -> str",
            FEATURES[1],
            uses=("shared/TextError",),
            raises=("TextError: when the text is empty",),
        ),
    )
    slugs = (
        _node(
            "slug",
            core,
            'def slugify(text: str, *, separator: str = "-") -> str',
            FEATURES[2],
            uses=("words/split_words", "words/clean"),
            examples=(">>> slugify('Hello World')\n'hello-world'",),
        ),
        _node(
            "slug",
            core,
            "def unique_slug(text: str, taken: Collection[str]) -> str",
            FEATURES[3],
            uses=("slug/slugify", "shared/TextError"),
            imports=("from collections.abc import Collection",),
        ),
        _node(
            "slug",
            unique,
            TABLE,
            FEATURES[4],
            uses=("slug/unique_slug", "slug/slugify"),
            imports=("from dataclasses import dataclass, field",),
        ),
    )
    stats = (
        _node(
            "counting",
            "textkit/counting/words.py",
            "def word_count(text: str) -> Counter[str]",
            FEATURES[5],
            uses=("words/split_words",),
            imports=("from collections import Counter",),
        ),
    )
    return Plan(
        features=FeatureSet(
            features=tuple(
                Feature(id=name, name=name, description=f"{name}.", requirements=(f"r-{name}",)) for name in FEATURES
            )
        ),
        modules=ModuleSet(
            modules=(
                ModulePlan(id="counting", name="Counting", description="Counts.", features=FEATURES[5:]),
                ModulePlan(id="slug", name="Slugs", description="Makes slugs.", features=FEATURES[2:5]),
                ModulePlan(id="words", name="Words", description="Splits text.", features=FEATURES[:2]),
            ),
            flows=(
                DataFlow(source="words", target="counting", data_name="words", data_type="list[str]"),
                DataFlow(source="words", target="slug", data_name="words", data_type="list[str]"),
            ),
        ),
        layout=FileLayout(
            package_name="textkit",
            files=(
                FilePlan(path="textkit/counting/words.py", module="counting", features=FEATURES[5:]),
                FilePlan(path=core, module="slug", features=FEATURES[2:4], description="Slugs of text."),
                FilePlan(path=unique, module="slug", features=FEATURES[4:5], description='Says "quoted" \\ things"'),
                FilePlan(path="textkit/words/splitting.py", module="words", features=FEATURES[:2]),
            ),
        ),
        base_classes=BaseClasses(
            classes=(
                BaseClassPlan(
                    id="shared/TextError",
                    file="textkit/shared/errors.py",
                    name="TextError",
                    signature="class TextError(ValueError):\n    ...",
                    docstring="Text that cannot be used.",
                    users=(FEATURES[1], FEATURES[3]),
                ),
            )
        ),
        interfaces=(
            ModuleInterfaces(module="counting", interfaces=stats),
            ModuleInterfaces(module="slug", interfaces=slugs),
            ModuleInterfaces(module="words", interfaces=words),
        ),
    )


BODIES = {
    "shared/TextError": 'class TextError(ValueError):\n    """Text that cannot be used."""\n',
    "words/split_words": '''\
import re

# Letters and digits only.
_WORD = re.compile(r"[a-z0-9]+")


def split_words(text: str) -> list[str]:
    """What split_words does."""
    return _WORD.findall(_prepared(text))


def _prepared(text: str) -> str:
    return text.lower()
''',
    "words/clean": '''\
from __future__ import annotations

import re

from textkit.shared.errors import TextError

_WORD = re.compile(r"\\s+")


def _prepared(text: str) -> str:
    return _WORD.sub(" ", text).strip()


def clean(text: str) -> str:
    """What clean does."""
    found = _prepared(text)  # the part's own helper
    if not found:
        raise TextError(f"empty: {_prepared(text)!r}")
    return found
''',
    "slug/slugify": '''\
from textkit.words.splitting import clean, split_words


def slugify(text: str, *, separator: str = "-") -> str:
    """What slugify does."""
    return separator.join(split_words(clean(text)))
''',
    "slug/unique_slug": '''\
from collections.abc import Collection
from itertools import count

from textkit.shared.errors import TextError
from textkit.slug.core import slugify


def unique_slug(text: str, taken: Collection[str]) -> str:
    """What unique_slug does."""
    slug = slugify(text)
    if not slug:
        raise TextError("no words")
    if slug not in taken:
        return slug
    return next(f"{slug}-{number}" for number in count(2) if f"{slug}-{number}" not in taken)
''',
    "slug/SlugTable": '''\
from dataclasses import dataclass, field

from textkit.slug.core import slugify, unique_slug


@dataclass
class SlugTable:
    """Slugs by title."""

    entries: dict[str, str] = field(default_factory=dict)

    def add(self, title: str, *, limit: int = 80) -> str:
        """Add a title and return its slug."""
        assert slugify(title)
        self.entries[title] = unique_slug(title, self.entries.values())[:limit]
        return self.entries[title]

    def __len__(self) -> int:
        """How many."""
        return len(self.entries)
''',
    "counting/word_count": '''\
from collections import Counter

from textkit.words.splitting import split_words


def word_count(text: str) -> Counter[str]:
    """What word_count does."""
    return Counter(split_words(text))
''',
}
