"""Golden action keys: what each sample value's key was when the present ``ENCODING_VERSION`` was made.

``python tests/golden_keys.py`` writes them anew, but only after ``ENCODING_VERSION`` was raised: keys that are out in caches and
transcripts do not change under one version. New samples may be added at any time.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar

from zerorepo import action_key
from zerorepo.action import Action, ActionResult
from zerorepo.digest import Digest, DigestFunction
from zerorepo.label import Label
from zerorepo.values import COSMETIC, Value

XXH3 = DigestFunction.XXH3
GOLDEN = Path(__file__).parent / "golden" / "action_keys.json"


class Colour(Enum):
    RED = "red"


class Shade(StrEnum):
    RED = "red"


class Inner(Value):
    text: str = ""


class Sample(Action):
    mnemonic: ClassVar[str] = "Sample"
    result: ClassVar[type[ActionResult]] = ActionResult
    name: str
    parts: tuple[Digest, ...] = ()
    env: Mapping[str, str] = {}
    inner: Inner | None = None
    note: Annotated[str, COSMETIC] = ""


class Renewed(Sample):
    key_version: ClassVar[int] = 2


SAMPLES: dict[str, Any] = {
    "none": None,
    "true": True,
    "one": 1,
    "one float": 1.0,
    "one text": "1",
    "negative": -17,
    "big": 2**80,
    "bytes": b"\x00\xff",
    "empty text": "",
    "unicode": "Grüße 𝄞",
    "nan": float("nan"),
    "infinity": float("-inf"),
    "enum": Colour.RED,
    "label": Label("a", "b"),
    "digest": XXH3.of_bytes(b"x"),
    "list": [1, [2, []], {}],
    "set": frozenset({"b", "a", "c"}),
    "mapping": {"b": 1, "a": {"c": None}},
    "action": Sample(
        name="n", parts=(XXH3.of_bytes(b"x"),), env={"B": "2", "A": "1"}, inner=Inner(text="t"), note="cosmetic"
    ),
    "action of another version": Renewed(name="n"),
}


def keys_now() -> dict[str, str]:
    """Each sample's key as the engine makes it now."""
    return {name: str(action_key.key_of(value, XXH3)) for name, value in SAMPLES.items()}


def problems(golden: Mapping[str, Any]) -> list[str]:
    """What is wrong with the engine's keys, going by the golden ones."""
    version, now = action_key.ENCODING_VERSION, keys_now()
    if golden["encoding_version"] != version:
        return [
            f"the golden keys are of version {golden['encoding_version']}, the encoding of {version}: write them anew"
        ]
    return [
        f"the key of `{name}` changed under version {version}: every cache and transcript is lost; raise ENCODING_VERSION"
        for name, key in golden["keys"].items()
        if now.get(name) != key
    ] + [f"`{name}` has no golden key yet: write them anew" for name in now if name not in golden["keys"]]


def renewed(golden: Mapping[str, Any]) -> dict[str, Any]:
    """Golden keys as of now. ValueError when that would change keys of a version that is in use."""
    version, now = action_key.ENCODING_VERSION, keys_now()
    changed = [name for name, key in golden["keys"].items() if now.get(name) != key]
    if version < golden["encoding_version"] or (version == golden["encoding_version"] and changed):
        raise ValueError(
            f"keys of version {golden['encoding_version']} are in use ({', '.join(changed)}): raise ENCODING_VERSION"
        )
    return {"encoding_version": version, "keys": now}


if __name__ == "__main__":
    try:
        found = renewed(json.loads(GOLDEN.read_text()))
    except ValueError as error:
        sys.exit(str(error))
    GOLDEN.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
