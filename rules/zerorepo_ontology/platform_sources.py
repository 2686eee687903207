"""Sources that describe a platform and no library: the web platform, browser data, the services of a cloud.

Each is read from one pinned archive as data. Knows nothing of how archives are fetched or entries become a tree.
"""

from __future__ import annotations

import asyncio
import gzip
import html
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from zerorepo.action import Action, ActionContext, ActionResult
from zerorepo.digest import Digest
from zerorepo.errors import ActionFailed
from zerorepo_ontology import entries, wording
from zerorepo_ontology.entries import Entry
from zerorepo_ontology.mining import Mined

WEB_DOMAIN, CLOUD_PLACE = "Web platform", ("Cloud and infrastructure", "Services of a cloud provider")
_LARGEST = 128 << 20
_FEWEST = 3
"""Operations that a service has at least, if it has so many."""
_SUBJECT = re.compile(
    r"^(the|an?)\s.{1,90}?\s(CSS (at-rule|property|properties|functions?|pseudo-(class|element)e?s?|"
    r"data types?|keywords?|values?|unit)|"
    r"API|HTML elements?|elements?|methods?|attribute|property|properties|functions?|headers?|keyword|event|interface|object)s?\s+"
    r"(for \S+ )?(?=[a-z])",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"^(abort|accept|add|animate|append|apply|ask|assign|attach|begin|cancel|capture|check|clear|clone|close|"
    r"collapse|compile|compute|"
    r"connect|construct|convert|copy|create|decode|decrypt|delete|derive|detach|detect|disconnect|dispatch|"
    r"draw|enable|encode|encrypt|"
    r"end|enumerate|evaluate|execute|exit|export|fetch|fill|find|finish|flush|force|format|generate|get|go|grab|hide|import|insert|"
    r"install|intercept|load|lock|match|measure|minimize|move|navigate|normalize|observe|open|parse|paste|"
    r"pause|persist|pipe|play|post|"
    r"prevent|query|read|receive|record|register|reload|remove|render|replace|report|request|reset|resize|resolve|restore|resume|"
    r"retrieve|revoke|rotate|save|scale|scroll|seek|select|send|set|share|show|sign|skip|speak|start|stop|store|subscribe|supports|"
    r"suspend|switch|take|toggle|transfer|transform|translate|unlock|unregister|unsubscribe|update|upload|validate|verify|watch|"
    r"write)(?=[A-Z])"
)
_NO_VERB = frozenset(("of", "to", "and", "for", "with", "in", "on", "that", "or", "by", "from"))
_ROUTINE = re.compile(r"^(Get|Describe|Delete|Batch|Update|Put|Disassociate|Deregister)(?=[A-Z])")
_SKIPPED = re.compile(r"^(List|Tag|Untag)[A-Z]|(Policy|Tags?|Settings|Configuration)$")


class MineWebFeatures(Action):
    """The features of the web platform, grouped as the ``web-features`` package of npm groups them."""

    mnemonic: ClassVar[str] = "MineWebFeatures"
    result: ClassVar[type[ActionResult]] = Mined

    archive: Digest
    name: str
    version: str

    async def execute(self, context: ActionContext) -> Mined:
        files = await asyncio.to_thread(
            _npm_files, context.read(self.archive), self.name, ("data.json", "package.json")
        )
        license_ = str(files["package.json"].get("license") or "")
        data = files["data.json"]
        made = []
        for key, row in sorted(data["features"].items()):
            if row.get("kind") != "feature":
                continue
            said = wording.first_sentence(row["description"])
            names = _groups(row.get("group") or [], data["groups"])
            area = names[0] if names else "Browser interfaces"
            made.append(
                Entry(
                    text=wording.shortened(_with_subject(row["name"], said)), path=key, kind="row", source=self.name,
                    version=self.version, license=license_, origin="mined", place=(WEB_DOMAIN, area, names[-1] if names else area),
                    section=f"web-features :: {area}", description=wording.shortened(said, 220), tier="T",
                )
            )  # fmt: skip
        data_ = entries.dump(made)
        return Mined(
            entries=context.write(data_),
            count=len(made),
            symbols=len(data["features"]),
            license=license_,
            version=self.version,
        )

    def describe(self) -> str:
        return f"mine {self.name}"


def _groups(own: list[str], groups: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Names of the first group of a feature and those above it, topmost first."""
    names: list[str] = []
    current = own[0] if own else ""
    while current and len(names) < 5:
        names.insert(0, groups[current]["name"])
        current = groups[current].get("parent", "")
    return names


def _with_subject(name: str, said: str) -> str:
    """``Barcode detector: recognizes various barcode formats in images``."""
    rest = _SUBJECT.sub("", said)
    if rest != said and rest.partition(" ")[0] not in _NO_VERB:
        return f"{name}: {re.sub(r'^(is|are) ', '', rest)}"
    return said if name.casefold() in said.casefold() or not said else f"{name}: {said[:1].lower()}{said[1:]}"


class MineBrowserData(Action):
    """What web pages can ask of browsers: methods that ``@mdn/browser-compat-data`` lists, by their names.

    Its rows have no descriptions, or ones that tell differences between browsers.
    """

    mnemonic: ClassVar[str] = "MineBrowserData"
    result: ClassVar[type[ActionResult]] = Mined

    archive: Digest
    name: str
    version: str
    cap: int = 4
    """Methods of one interface."""

    async def execute(self, context: ActionContext) -> Mined:
        files = await asyncio.to_thread(
            _npm_files, context.read(self.archive), self.name, ("data.json", "package.json")
        )
        license_ = str(files["package.json"].get("license") or "")
        made: list[Entry] = []
        interfaces = files["data.json"]["api"]
        for interface, rows in sorted(interfaces.items()):
            told = [
                (name, wording.name_text(name)) for name, row in sorted(rows.items()) if _is_settled_method(name, row)
            ]
            subject = " ".join(wording.name_words(interface))
            made += [
                Entry(
                    text=f"{text} ({subject})", path=f"{interface}.{name}", kind="row", source=self.name, version=self.version,
                    license=license_, origin="mined", place=(WEB_DOMAIN, "Browser interfaces"), section=f"api :: {interface}",
                    tier="N",
                )
                for name, text in [each for each in told if each[1]][: self.cap]
            ]  # fmt: skip
        data = entries.dump(made)
        return Mined(
            entries=context.write(data),
            count=len(made),
            symbols=len(interfaces),
            license=license_,
            version=self.version,
        )

    def describe(self) -> str:
        return f"mine {self.name}"


def _is_settled_method(name: str, row: Mapping[str, Any]) -> bool:
    """Neither an event, a constructor, a note on a difference, nor something that browsers try out or give up."""
    status = row.get("__compat", {}).get("status", {})
    return bool(
        _VERB.match(name) and "_" not in name and status.get("standard_track")
        and not status.get("deprecated") and not status.get("experimental")
    )  # fmt: skip


def _npm_files(archive: bytes, name: str, wanted: tuple[str, ...]) -> dict[str, Any]:
    """The named JSON files of a package's archive. ActionFailed when it is none, or lacks one."""
    found: dict[str, Any] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
            for member in opened:
                short = member.name.removeprefix("package/")
                if short in wanted and member.isfile() and member.size <= _LARGEST:
                    content = opened.extractfile(member)
                    found[short] = json.loads(content.read()) if content else {}
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise ActionFailed(f"`{name}` is no package of npm: {error}") from None
    for each in wanted:
        if each not in found:
            raise ActionFailed(f"`{name}` has no {each}")
    return found


class MineCloudServices(Action):
    """What the services of a cloud provider can be asked, from the service models in the wheel of ``botocore``."""

    mnemonic: ClassVar[str] = "MineCloudServices"
    result: ClassVar[type[ActionResult]] = Mined

    wheel: Digest
    version: str
    license: str
    cap: int = 8
    """Operations of one service: most of them only list, read and delete."""

    async def execute(self, context: ActionContext) -> Mined:
        made, seen = await asyncio.to_thread(self._mine, context.read(self.wheel))
        data = entries.dump(made)
        return Mined(
            entries=context.write(data), count=len(made), symbols=seen, license=self.license, version=self.version
        )

    def _mine(self, data: bytes) -> tuple[list[Entry], int]:
        made: list[Entry] = []
        seen = 0
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for path, model in _models(archive):
                    operations = model["operations"]
                    seen += len(operations)
                    service = _service(model["metadata"])
                    made += [
                        Entry(
                            text=text, path=f"{path}.{name}", kind="operation", source="botocore", version=self.version,
                            license=self.license, origin="mined", place=(*CLOUD_PLACE, service), section=f"botocore :: {service}",
                            description=wording.description(said, text), tier="T",
                        )
                        for name, text, said in _told(operations, self.cap)
                    ]  # fmt: skip
        except (zipfile.BadZipFile, ValueError, KeyError) as error:
            raise ActionFailed(f"`botocore` has no service models that can be read: {error}") from None
        return made, seen

    def describe(self) -> str:
        return "mine the services of a cloud provider"


def _models(archive: zipfile.ZipFile) -> Iterator[tuple[str, Any]]:
    """The newest model of each service, by the service's name."""
    newest: dict[str, str] = {}
    for name in sorted(archive.namelist()):
        found = re.fullmatch(r"botocore/data/([^/]+)/[\d-]+/service-2\.json(\.gz)?", name)
        if found:
            newest[found.group(1)] = name
    for service, name in newest.items():
        content = archive.read(name)
        yield service, json.loads(gzip.decompress(content) if name.endswith(".gz") else content)


def _service(metadata: Mapping[str, Any]) -> str:
    name = str(metadata.get("serviceFullName") or metadata.get("serviceId"))
    return re.sub(r"^(AWS|Amazon)\s+|\s+Service$", "", name)


def _told(operations: Mapping[str, Mapping[str, Any]], cap: int) -> list[tuple[str, str, str]]:
    """(name, text, documentation) of what makes and does things; of what reads and deletes only where little else is there."""
    told: list[tuple[str, str, str]] = []
    routine: list[tuple[str, str, str]] = []
    for name, operation in sorted(operations.items()):
        said = html.unescape(re.sub(r"<[^>]+>", " ", str(operation.get("documentation") or "")))
        text = wording.feature_text(name, said)
        if text and not operation.get("deprecated") and not _SKIPPED.search(name):
            (routine if _ROUTINE.match(name) else told).append((name, text, said))
    return (told + routine[: max(_FEWEST - len(told), 0)])[:cap]
