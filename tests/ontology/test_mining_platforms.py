"""The web platform, browser data and a cloud's services are read as data from pinned archives, fetched from a folder here."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from zerorepo.testing import RuleRunner
from zerorepo_ontology import artifact, platform_sources
from zerorepo_ontology.fetch_npm import archive_name
from zerorepo_ontology.register import RULE_SET

WEB = {
    "features": {
        "barcode": {
            "kind": "feature", "name": "Barcode detector", "group": ["sensors"],
            "description": "The BarcodeDetector API recognizes various barcode formats in images. More.",
        },
        "canvas": {"kind": "feature", "name": "<canvas>", "description": "The <canvas> element is a space to draw graphics in."},
        "old": {"kind": "moved", "redirect_target": "canvas"},
    },
    "groups": {"sensors": {"name": "Sensors", "parent": "devices"}, "devices": {"name": "Devices"}},
}  # fmt: skip
SETTLED = {"__compat": {"status": {"standard_track": True, "deprecated": False, "experimental": False}}}
BROWSERS = {
    "api": {
        "Clipboard": {
            "readText": SETTLED, "writeText": SETTLED, "change_event": SETTLED, "Clipboard": SETTLED,
            "readAll": {"__compat": {"status": {"standard_track": True, "deprecated": True}}},
        }
    }
}  # fmt: skip


def packed(data: dict[str, Any], license_: str) -> bytes:
    """An archive as ``npm pack`` makes them."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, value in (("data.json", data), ("package.json", {"license": license_})):
            content = json.dumps(value).encode()
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def cloud(operations: dict[str, str]) -> bytes:
    """A wheel with one service in two versions, the newer one with these operations."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for version, asked in (("2020-01-01", {"OldOne": "<p>Does it the old way.</p>"}), ("2024-01-01", operations)):
            model = {
                "metadata": {"serviceFullName": "Amazon Queues"},
                "operations": {name: {"documentation": said} for name, said in asked.items()},
            }
            archive.writestr(
                f"botocore/data/queues/{version}/service-2.json.gz", gzip.compress(json.dumps(model).encode())
            )
    return out.getvalue()


def workspace(tmp_path: Path, rule: str, data: bytes, name: str, sha256: str = "") -> RuleRunner:
    """A workspace whose one source is this archive."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / archive_name(name, "1.0")).write_bytes(data)
    pin = f'version = "1.0"\nsha256 = "{sha256 or hashlib.sha256(data).hexdigest()}"\n'
    tree = '[[target]]\nname = "o"\nrule = "ontology_tree"\nengine = "bm25"\nsources = ["//:w"]\n'
    text = f'[ontology]\nwheels = "{tmp_path / "files"}"\n[[target]]\nname = "w"\nrule = "{rule}"\n{pin}{tree}'
    return RuleRunner(tmp_path / "ws", {"zerorepo.toml": text}, rule_sets=[RULE_SET])


def paths(runner: RuleRunner) -> dict[str, list[str]]:
    runner.build_ok("//...")
    found = artifact.load(runner.outputs()["o.ontology"], "o.ontology")[0]
    assert {source.license for source in found.sources} <= {"Apache-2.0", "CC0-1.0"}
    return {node.name: found.path(node)[:-1] for node in found.nodes if node.level == "feature"}


def test_web_features_keep_the_upper_groups_and_the_licence(tmp_path: Path) -> None:
    assert paths(workspace(tmp_path, "ontology_web_features", packed(WEB, "Apache-2.0"), "web-features")) == {
        "Barcode detector: recognizes various barcode formats in images": ["Web platform", "Devices", "Devices"],
        "<canvas>: a space to draw graphics in": ["Web platform", "Browser interfaces", "Browser interfaces"],
    }


def test_of_browser_data_settled_methods_are_taken_by_their_names(tmp_path: Path) -> None:
    data = packed(BROWSERS, "CC0-1.0")
    assert set(paths(workspace(tmp_path, "ontology_browser_data", data, "@mdn/browser-compat-data"))) == {
        "read text (clipboard)",
        "write text (clipboard)",
    }


def test_a_service_is_known_by_what_its_newest_model_does_and_not_by_what_it_lists() -> None:
    asked = {
        "CreateQueue": "<p>Creates a new queue of messages. More.</p>",
        "SendMessage": "<p>Delivers a message to the <code>queue</code>.</p>",
        "ListQueues": "<p>Returns a list of your queues.</p>",
        "DeleteQueue": "<p>Deletes the queue with all its messages.</p>",
        "GetQueue": "<p>Returns what is known of a queue.</p>",
        "TagQueue": "<p>Adds cost allocation tags to a queue.</p>",
    }
    with zipfile.ZipFile(io.BytesIO(cloud(asked))) as archive:
        ((service, model),) = platform_sources._models(archive)
    told = platform_sources._told(model["operations"], 8)
    assert (service, [name for name, _, _ in told]) == ("queues", ["CreateQueue", "SendMessage", "DeleteQueue"])
    assert told[1][1] == "delivers a message to the queue"
    many = {f"Start{n}": f"Starts job number {n} of many." for n in range(20)}
    assert len(platform_sources._told({name: {"documentation": said} for name, said in many.items()}, 8)) == 8


def test_another_archive_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    runner = workspace(tmp_path, "ontology_web_features", packed(WEB, "Apache-2.0"), "web-features", "0" * 64)
    assert "not the pinned archive" in str(runner.build("//:w").error("//:w"))


def test_an_archive_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    runner = workspace(tmp_path, "ontology_browser_data", packed(BROWSERS, "CC0-1.0"), "another")
    error = str(runner.build("//:w").error("//:w"))
    assert "@mdn/browser-compat-data cannot be read" in error and "mdn-browser-compat-data-1.0.tgz" in error


def test_what_is_no_archive_of_npm_is_told(tmp_path: Path) -> None:
    runner = workspace(tmp_path, "ontology_web_features", b"nothing", "web-features")
    assert "is no package of npm" in str(runner.build("//:w").error("//:w"))
