"""What a specification says by rule alone, without a model: statements, technologies, components, flows, endpoints, directives.

Every finding keeps its line. A technology that the text says no to ("without React") is not mentioned. Knows nothing of conflicts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from zerorepo.values import Value

FRONTEND = (
    "React",
    "Vue",
    "Vue.js",
    "Angular",
    "Svelte",
    "SvelteKit",
    "Next.js",
    "Nuxt",
    "Ember",
    "Solid.js",
    "Remix",
    "Preact",
)
BACKEND = (
    "Django", "Flask", "FastAPI", "Express", "Express.js", "Spring", "Spring Boot", "Ruby on Rails", "Laravel", "NestJS",
    "Starlette",
)  # fmt: skip
JVM_FRAMEWORKS = ("Spring", "Spring Boot", "Hibernate", "Quarkus", "Micronaut", "Ktor", "Vert.x", "Akka", "Dropwizard")
JVM_LANGUAGES = ("Java", "Kotlin", "Scala", "Groovy", "Clojure")
LANGUAGES = (
    "Python",
    *JVM_LANGUAGES,
    "JavaScript",
    "TypeScript",
    "Rust",
    "Golang",
    "C++",
    "C#",
    "Ruby",
    "PHP",
    "Swift",
)
PLATFORMS = (
    "Linux",
    "Windows",
    "macOS",
    "Android",
    "iOS",
    "iPhone",
    "iPad",
    "mobile app",
    "mobile",
    "browser",
    "Raspberry Pi",
)
MOBILE = ("Android", "iOS", "iPhone", "iPad", "mobile app", "mobile")
DEPLOYMENT = (
    "AWS Lambda", "Lambda function", "Cloud Functions", "Azure Functions", "serverless", "Kubernetes", "Docker", "PyPI", "Heroku",
    "on premises", "Cloud Run",
)  # fmt: skip
SERVERLESS = ("AWS Lambda", "Lambda function", "Cloud Functions", "Azure Functions", "serverless")
LONG_RUNNING = (
    "Celery", "long-running worker", "long-running workers", "background worker", "background workers", "daemon",
    "WebSocket server",
)  # fmt: skip
SCOPES = {
    "backend only": (
        r"back[- ]?end[- ]only|only a back[- ]?end|no (?:front[- ]?end|user interface|UI)\b|server[- ]side only|API[- ]only"
    ),
    "frontend only": r"front[- ]?end[- ]only|only a front[- ]?end|no (?:back[- ]?end|server)\b|client[- ]side only",
    "command line tool": r"command[- ]line (?:tool|program|application|interface)|\bCLI\b",
    "library": r"\blibrary\b",
    "service": r"\b(?:web|HTTP|REST) (?:service|API|server)\b",
}


class Mention(Value):
    """A word of a list as the text has it. ``line`` counts from 1."""

    word: str
    line: int


class Endpoint(Value):
    """``GET /users/{id}``."""

    method: str
    path: str
    line: int = 0


class Flow(Value):
    """``reader -> parser: rows``."""

    source: str
    target: str
    data: str = ""
    line: int = 0


class Directive(Value):
    """``<!-- zerorepo: accept contradiction "works offline": once a day -->``: ``verb`` accept or off, the checks, words of what is
    meant among what these find, the reason."""

    verb: str
    checks: tuple[str, ...]
    words: tuple[str, ...] = ()
    reason: str = ""
    line: int = 0


class Line(NamedTuple):
    """A line of prose with its number."""

    number: int
    text: str


_DIRECTIVE = re.compile(
    r"[ \t]*<!--\s*zerorepo:\s*(\w+)\s+([\w, ]+?)((?:\s+\"[^\"]+\")*)\s*(?::\s*(.*?))?\s*-->[ \t]*$"
)
_ANY_DIRECTIVE = re.compile(r"[ \t]*<!--\s*zerorepo:.*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_NO = re.compile(r"\b(?:no|not|without|never|instead of|unlike|neither|nor|than|n't)\b[^.;:,]{0,40}$", re.IGNORECASE)
_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+(.*)$")
_ENDPOINT = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)\s+`?(/[\w/{}<>:.*-]*)")
_FLOW = re.compile(
    r"^\s*(?:[-*+]\s+)?`?([A-Za-z][\w -]{0,40}?)`?\s*(?:->|→)\s*`?([A-Za-z][\w -]{0,40}?)`?\s*(?::\s*(.+))?$"
)
_COMPONENT = re.compile(r"\s{0,3}[-*+]\s+[`*]*([A-Za-z][\w -]{0,40}?)[`*]*\s*(?::|—|–|-\s|$)")
_DEFINED = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+\**`((?:async )?(?:def )?[A-Za-z_][\w.]*\([^`]*)`")
_PATH = re.compile(r"`([\w./-]+/[\w.-]+\.\w{1,5}|[\w-]+\.(?:py|toml|md|json|yaml|yml|cfg|ini))`")


def without_directives(text: str) -> str:
    """The text without the lines that only speak to us, so that no model is asked about them."""
    if "<!--" not in text:
        return text
    return "\n".join(line for line in text.split("\n") if not _ANY_DIRECTIVE.match(line))


def directives(text: str) -> list[Directive]:
    """The directives of a text; one that cannot be read has no checks."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if _ANY_DIRECTIVE.match(line):
            match = _DIRECTIVE.match(line)
            names = re.split(r"[,\s]+", match[2].strip()) if match else []
            verb = match[1] if match else line.strip()
            words = re.findall(r'"([^"]+)"', match[3]) if match else []
            reason = (match[4] or "") if match else ""
            found.append(Directive(verb=verb, checks=tuple(names), words=tuple(words), reason=reason, line=number))
    return found


def prose(text: str) -> Iterator[Line]:
    """The lines outside of fenced code."""
    fence = ""
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        mark = _FENCE.match(line)
        if fence:
            fence = "" if mark and mark[1].startswith(fence) else fence
        elif mark:
            fence = mark[1]
        elif not _ANY_DIRECTIVE.match(line):
            yield Line(number, line)


def mentions(text: str, words: tuple[str, ...]) -> list[Mention]:
    """Where these words stand, unless they are said no to; of ``Spring Boot`` only the longer name counts."""
    longest = sorted(words, key=len, reverse=True)
    proper = [re.escape(word) if word != word.lower() else f"(?i:{re.escape(word)})" for word in longest]
    pattern = re.compile(rf"(?<![\w.]){'(' + '|'.join(proper) + ')'}(?!\w)")
    found = []
    for line in prose(text):
        for match in pattern.finditer(line.text):
            if not _NO.search(line.text[: match.start()]):
                word = next(each for each in words if each.casefold() == match[0].casefold())
                found.append(Mention(word=word, line=line.number))
    return found


def scopes(text: str) -> list[Mention]:
    """What kind of thing it says that it is."""
    found = []
    for name, pattern in SCOPES.items():
        for line in prose(text):
            if match := re.search(pattern, line.text, re.IGNORECASE):
                if name not in ("backend only", "frontend only") and _NO.search(line.text[: match.start()]):
                    continue
                found.append(Mention(word=name, line=line.number))
                break
    return found


def statements(text: str) -> list[Line]:
    """List items, with the lines that go on, and sentences of paragraphs; headings and tables are none."""
    found: list[Line] = []
    open_item = False
    for line in prose(text):
        stripped = line.text.strip()
        if not stripped or stripped.startswith(("#", "|", ">")) or set(stripped) <= set("=-"):
            open_item = False
        elif item := _ITEM.match(line.text):
            found.append(Line(line.number, item[1].strip()))
            open_item = True
        elif open_item and found:
            found[-1] = Line(found[-1].number, f"{found[-1].text} {stripped}")
        else:
            found.append(Line(line.number, stripped))
            open_item = True
    return found


def endpoints(text: str) -> list[Endpoint]:
    """HTTP methods with their paths, each once."""
    found: dict[tuple[str, str], Endpoint] = {}
    for line in prose(text):
        for match in _ENDPOINT.finditer(line.text):
            path = match[2].rstrip(".")
            found.setdefault((match[1], path), Endpoint(method=match[1], path=path, line=line.number))
    return list(found.values())


def defined_endpoints(text: str) -> list[Mention]:
    """Endpoints that a list item or a row of a table begins with; names of parameters do not count."""
    found = []
    for line in prose(text):
        head = re.match(r"\s*(?:[-*+]|\d+[.)]|\|)\s*[`*]*", line.text)
        if head and (endpoint := _ENDPOINT.match(line.text, head.end())):
            path = re.sub(r"\{[^}]*\}|<[^>]*>|:\w+", "{}", endpoint[2].rstrip("."))
            found.append(Mention(word=f"{endpoint[1]} {path}", line=line.number))
    return found


def defined_functions(text: str) -> list[Mention]:
    """Calls that a list item begins with: ```read(text, strict=False)```, as the specification's word for a function."""
    found = []
    for line in prose(text):
        if match := _DEFINED.match(line.text):
            found.append(Mention(word=" ".join(match[1].split()), line=line.number))
    return found


def flows(text: str) -> list[Flow]:
    """Lines such as ``reader -> parser: rows``."""
    return [
        Flow(source=match[1].strip(), target=match[2].strip(), data=(match[3] or "").strip(), line=line.number)
        for line in prose(text)
        if (match := _FLOW.match(line.text))
    ]


def components(text: str) -> list[Mention]:
    """Names that the list under a heading "Components", "Modules" or "Architecture" begins with."""
    found: list[Mention] = []
    inside = False
    for line in prose(text):
        if heading := re.match(r"\s{0,3}#{1,6}\s+(.*)", line.text):
            inside = re.match(r"(?i)(components?|modules?|architecture)\b", heading[1]) is not None
        elif inside and not _FLOW.match(line.text) and (item := _COMPONENT.match(line.text)):
            found.append(Mention(word=item[1].strip(), line=line.number))
    return found


def file_recommendations(text: str) -> list[str]:
    """Paths of files that the text names in backticks."""
    return list(dict.fromkeys(match for line in prose(text) for match in _PATH.findall(line.text)))


__all__ = [
    "Directive",
    "Endpoint",
    "Flow",
    "Line",
    "Mention",
    "components",
    "defined_endpoints",
    "defined_functions",
    "directives",
    "endpoints",
    "file_recommendations",
    "flows",
    "mentions",
    "prose",
    "scopes",
    "statements",
    "without_directives",
]
