"""What a capability is called, from the module or class that it was mined from. Knows nothing of the tree.

A module is named by what it says of itself where that is short, a class by its name; else by the last part of the
dotted name that means something.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_MOST_WORDS = 7
_LONGEST = 62
_EMPTY_PARTS = frozenset(
    re.findall(
        r"\w+",
        """util utils utility utilities core base bases api common misc helper helpers tools tool main internal internals impl lib
        libs shared abc types typing general generic basic support supports compat mixin mixins abstract init meta constants consts
        enums structs""",
    )
)
_DULL = re.compile(
    r"^(this|each|our|some|misc|do not|re-?import|public|temporary|base|internal|helper|created|copyright|wrapper|note|used|see|"
    r"main\b|custom\b|container for|abstract|mixin|contains?\b|provides?\b|defines?\b|common\b|utilit|various|"
    r"library|additional|basic|"
    r"enumerations used|miscellaneous|functionality|shortcuts?\b|if |for |when |it |all |any |most |here|stuff|import|python|"
    r"(collection|set|variety|implementations?|functions?|tools|routines|classes|modules?|packages?)\b)|"
    r"\b(include|includes|is|are|corresponds|basically|one|used|we|module|package|docstring|subclass(es)?|licen[cs]e|"
    r"deprecated|etc)\b|[:=<>`{}\\[\\]|\"]| - |"
    r"\b(a|an|the|of|and|or|to|with|in|for|by|that|which|from|single|using)$",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"^(an?|the)\s+", re.IGNORECASE)
_VERB = re.compile(
    r"^(represents?|implements?|implementing|implementation of|describes?|describing|handles?|encapsulates?|models|manages?|"
    r"managing|holds?|class for|classes for|functions? for|functions? to|support for|tools for|utilit(y|ies) for|routines for|"
    r"methods? (for|to)|interface to|interface for|objects? for|(class|object) that \w+s|module for|tools to|classes to|"
    r"(helpers|code|utilities) (for|to))\s+",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"(\s+|,\s*)(related objects|and related objects|(utility |helper )?"
    r"(modules?|classes|class|functions|routines|objects|utilities)|module, with .*)$",
    re.IGNORECASE,
)
_FRAME = re.compile(r"^(base|abstract|simple|default|generic)\s+|\s+(mixin|base|impl|abstract|abc)$")
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+(?:\d+[a-zD]?(?![a-z]))?|[A-Z]+\d*|\d+")
_LOCALE = re.compile(r"[a-z]{2,3}_[A-Z]{2}")
_GENERIC = frozenset(
    re.findall(
        r"\w+",
        """models model config configuration parser parsers views view client clients widgets fields field filters filter table text
        tree command commands events event context cache decorators forms form functions function response request
        validators registry
        handlers handler callbacks callback managers manager apps app admin output readers reader writers writer adapters adapter
        settings options serializers signals middleware middlewares objects operations ops data format formats builder factory
        providers provider plugin plugins schema schemas state states results result elements items types element api""",
    )
)
"""Words that say something only with what they stand below: ``search.forms`` is "Search forms"."""
_JOINED = {
    each.replace(" ", ""): each
    for each in """axis artist, axis grid, block matrix, block processors, boot steps, char array, chart data,
    chart sheet, color bar,
    color map, color maps, connection pool, cookie jar, data structures, data type, data types, date format, date time,
    default tags, descriptive stats, distributed modules, embedded package, entry points, event loop, field set, file post,
    frame buffer, frame rate, gray code, http cache, http session, identity search, life cycle, lock file, native types,
    normal forms, number fields, offset box, page range, path effects, peak list, phone number, polynomial ring, rational
    tools, rich text, root isolation, social account, state space, static files, template tags, test client, text object,
    text path, thread local, tree processors, twitter client, unit root, user agent, vertex array, view sets, wish lists""".replace(
        "\n    ", " "
    ).split(", ")
}
"""Names of modules that are two words."""
_ACRONYMS = {
    each.lower(): each
    for each in re.findall(
        r"\w+",
        """ACL API APIs ASGI ASN1 AST AWS BSON CBOR CLI CNF CORS CRUD CSRF CSS CSV DNS DNSSEC DOM DSL EC2 EM EPUB
        EXIF FFT FITS FTP GCS GEE
        GIF GIS GLM GPU GRPC GTFS GUI HDF5 HMAC HTML HTML5 HTTP HTTP2 HTTPS IMAP IO IP IPv6 JOSE JPEG JSON JWE JWK JWS JWT LDAP MIDI
        MIME MQTT NLP OAuth OAuth1 OAuth2 OCR ODE OIDC OpenID ORM PCA PDE PDF PEM PKCS12 PNG POP3 RDF REST RPC RSA
        RSS S3 SAML SAX SMTP
        SOAP SOCKS SQL SQLAlchemy SQLite SSH SSL SVG SVM TCP TIFF TLS TOML UDP UI UID URI URIs URL URLs UUID VAR WAV
        WCS WSGI X509 XML
        XLSX YAML DB WWW DataFrame i18n l10n TOTP HOTP OTP PKI RFC""",
    )
}  # fmt: skip


def capability_name(section: str, text: str, source: str, *, is_class: bool = False) -> tuple[str, str]:
    """A name for what a module or class is about ("" when neither says), and its description."""
    if " :: " in section:
        return _tidy(text or section.split(" :: ")[-1].lower()), ""
    parts = [part.strip("_") for part in section.split(".")]
    own = {source.casefold().replace("-", "_"), source.casefold().replace("-", ""), parts[0].casefold()}
    named = _named(parts, own)
    said = spoken(text, own)
    if said and not (is_class and " " in named):
        return _tidy(said), text if text != said else ""
    return _tidy(named), text


def spoken(text: str, own: frozenset[str] | set[str] = frozenset()) -> str:
    """What a module or class says of itself, as a name; "" when it is no name. ``own``: names of the library."""
    if not text.isascii():
        return ""
    text = re.sub(r"\s*\([^)]*\)$", "", text.strip(" ."))
    text = _ARTICLE.sub("", _VERB.sub("", _ARTICLE.sub("", text)))
    text = re.split(r", | which | that |: | where | -- ", text)[0]
    names = "|".join(re.escape(each) for each in sorted(own))
    if names:
        text = re.sub(
            rf"\s+(module |support )?(for|in|of|from)\s+(the\s+)?({names})(\.\w+|'s)*$", "", text, flags=re.IGNORECASE
        )
    shorter = _TAIL.sub("", text).strip(" -,")
    text = shorter if " " in shorter else text
    if _DULL.search(text) or len(text) > _LONGEST or not 2 <= len(text.split()) <= _MOST_WORDS:
        return ""
    return text


def _named(parts: Sequence[str], own: set[str]) -> str:
    """Words of the last part of a dotted name that is not the library's own name and not a mere ``utils``."""
    for at in range(len(parts) - 1, -1, -1):
        part = parts[at]
        if part.casefold() in own or _LOCALE.fullmatch(part):
            continue
        if re.fullmatch(r"rfc\d+", part):
            return f"RFC {part[3:]}"
        if re.fullmatch(r"[a-z]+\d+[a-z\d]*|\d+", part):
            words = [part]
        else:
            words = _WORD.findall(part)
        words = [inner for word in words for inner in _JOINED.get(word, word).split()]
        phrase = " ".join(
            _ACRONYMS.get(each.lower(), each if each.isupper() and len(each) > 1 else each.lower()) for each in words
        )
        while (shorter := _FRAME.sub("", phrase)) != phrase:
            phrase = shorter
        kept = [
            word
            for word in phrase.split()
            if word.casefold() not in _EMPTY_PARTS and not word.isdigit() and word.casefold() not in own
        ]
        if kept and max(len(word) for word in kept) > 1:
            if len(kept) > 1:
                return phrase
            above = _named(parts[:at], own) if kept[0] in _GENERIC and at > 1 else ""
            return f"{above} {kept[0]}" if above and above.casefold() != kept[0].casefold() else kept[0]
    return ""


def _tidy(name: str) -> str:
    name = " ".join(
        _ACRONYMS.get(word.lower(), word) if word.islower() else word for word in name.strip(" .:,-").split()
    )
    first = name.partition(" ")[0]
    return name if not name or first.lower() in _ACRONYMS else name[:1].upper() + name[1:]
