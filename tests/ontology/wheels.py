"""Makes small wheels for tests, with modules that must never be imported. Knows nothing of what reads them."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

BOOM = 'raise SystemExit("this module must never run")\n'

SHAPES = {
    "shapes/__init__.py": """'''Shapes on the plane.'''
from ._impl import area_of, Circle
from .io import *
__all__ = ["area_of", "Circle"]
""" + BOOM,
    "shapes/_impl.py": BOOM
    + '''
def area_of(shape, *, unit=None):
    """Compute the area of a shape.

    In square units.
    """


def _hidden():
    """Do what nobody should call."""


class Circle:
    """A round shape around a centre."""

    def __init__(self, centre, radius=1):
        pass

    def scaled(self, factor):
        """Return the circle with its radius multiplied by a factor."""

    def get(self):
        """Return something that is plumbing."""

    @property
    def width(self):
        """The width of the circle from side to side."""
''',
    "shapes/io.py": '"""Reading and writing shapes."""\n' + BOOM
    + '''
def read_shapes(path):
    """Read all shapes of a file in order. Further text."""


def write_shapes(path, shapes):
    """Write shapes into a file, one a line."""


def old(path):
    """Deprecated: read shapes the old way."""


def draw_shapes_quickly(path):
    pass
''',
    "shapes/tests/test_io.py": 'def test_all():\n    """Test that all shapes can be read."""\n',
}  # fmt: skip


def wheel(
    name: str = "shapes", version: str = "1.0", license_: str = "MIT", modules: Mapping[str, str] = SHAPES
) -> bytes:
    """The bytes of a wheel."""
    out = io.BytesIO()
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(out, "w") as archive:
        for path, text in modules.items():
            archive.writestr(zipfile.ZipInfo(path), text)
        head = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nLicense-Expression: {license_}\nSummary: Shapes\n"
        archive.writestr(zipfile.ZipInfo(f"{info}/METADATA"), head)
        archive.writestr(
            zipfile.ZipInfo(f"{info}/WHEEL"), "Wheel-Version: 1.0\nTag: py3-none-any\nRoot-Is-Purelib: true\n"
        )
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "")
    return out.getvalue()


def put(folder: Path, name: str = "shapes", version: str = "1.0", **more: object) -> dict[str, str]:
    """Write a wheel into ``folder`` and return its pin as attributes of ``ontology_distribution``."""
    data = wheel(name, version, **more)  # type: ignore[arg-type]
    file = f"{name}-{version}-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(data)
    return {"package": name, "version": version, "wheel": file, "sha256": hashlib.sha256(data).hexdigest()}


def target(name: str, pin: Mapping[str, str], more: str = "") -> str:
    """A ``[[target]]`` for a pin."""
    rows = "".join(f'{key} = "{value}"\n' for key, value in pin.items())
    return f'[[target]]\nname = "{name}"\nrule = "ontology_distribution"\n{rows}{more}\n'
