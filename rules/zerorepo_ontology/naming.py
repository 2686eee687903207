"""What a capability is called, from the module or class that it was mined from. Knows nothing of the tree.

A module is named by what it says of itself where that is short, a class by its name; else by the last part of the
dotted name that means something.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from zerorepo_ontology.saying import spoken
from zerorepo_ontology.spelling import LONGEST_UNKNOWN, Spelling

STANDARD_LIBRARY = "python"
"""The source whose packages are named for what they do, and not for themselves."""
_EMPTY_PARTS = frozenset(
    re.findall(
        r"\w+",
        """util utils utility utilities core cores base bases api common misc helper helpers tools tool main internal internals impl
        lib libs shared abc types typing general generic basic support supports compat mixin mixins abstract init meta constants
        consts enums structs etc other others legacy contrib my ext py""",
    )
)
_FRAME = re.compile(
    r"^(base|abstract|simple|default|generic)\s+|"
    r"\s+(mixin|base|impl|abstract|abc|utils?|utility|utilities|helpers?|misc|ext|compat|lib)$"
)
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+(?:\d+[a-zD]?(?![a-z]))?|[A-Z]+\d*|\d+")
_NUMBERED = re.compile(r"([a-z]+\d+(?:[a-z]{1,3}(?![a-z]))?|\d+)([a-z]{4,})?")
"""``x509``, ``oauth2``, ``2to3``; a longer rest is a word of its own: ``http1connection``."""
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
_PREFIXES = frozenset(("auto", "inter", "multi", "non", "post", "pre", "re", "sub"))
_SPELLED_OUT = dict(
    re.findall(
        r"(\w+):\s+([^,]+?)\s*(?:,|$)",
        """alg: algebra, arg: argument, args: arguments, attr: attribute, attrs: attributes, auth: authentication, cmd: command,
        col: column, config: configuration, conn: connection, corr: correlation, cov: covariance, ctx: context, db: database,
        dict: dictionary, dir: folder, distr: distribution, dtype: data type, dtypes: data types, env: environment, eval:
        evaluation, expr: expression, exprs: expressions, func: function, funcs: functions, geom: geometry, img: image, info:
        information, interp: interpolation, jit: just-in-time compilation, lang: language, linalg: linear algebra, matmul:
        matrix multiplication, msg: message, ntheory: number theory, num: number, obj: object, op: operation, ops: operations,
        optim: optimization, param: parameter, params: parameters, perf: performance, poly: polynomial, prob: probability, proc:
        process, prop: property, props: properties, regex: regular expression, repr: representation, seq: sequence, spec:
        specification, specs: specifications, stat: statistics, stats: statistics, str: string, sync: synchronization, sys:
        system, temp: temporary, tsa: time series, tz: time zone, var: variable, vars: variables, vec: vector""",
    )
)
"""What programmers shorten in names of modules."""
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
        XLSX YAML WWW DataFrame i18n l10n TOTP HOTP OTP PKI RFC WebSocket WebSockets JavaScript GitHub CouchDB LaTeX DuckDB
        KDE KDF GCD LCM AR NetCDF GTK SSE SPSS DWT""",
    )
}  # fmt: skip


def capability_name(
    section: str, text: str, source: str, *, is_class: bool = False, spelling: Spelling | None = None
) -> tuple[str, str]:
    """A name for what a module or class is about ("" when neither says), and its description."""
    if " :: " in section:
        return _tidy(text or section.split(" :: ")[-1].lower()), ""
    spelling = spelling or Spelling()
    parts = [part.strip("_") for part in section.split(".")]
    own = {source.casefold().replace("-", "_"), source.casefold().replace("-", "")}
    top = {parts[0].casefold()}
    named = _named(parts, own | top, spelling)
    said = spoken(text, own if source == STANDARD_LIBRARY else own | top)
    if said and not (is_class and " " in named):
        return _tidy(said), text if text != said else ""
    return _tidy(named), text


def _named(parts: Sequence[str], own: set[str], spelling: Spelling) -> str:
    """Words of the last part of a dotted name that is not the library's own name and not a mere ``utils``."""
    for at in range(len(parts) - 1, -1, -1):
        part = parts[at]
        if part.casefold() in own or _LOCALE.fullmatch(part):
            continue
        if re.fullmatch(r"rfc\d+", part):
            return f"RFC {part[3:]}"
        phrase = " ".join(_words(part, spelling))
        while (shorter := _FRAME.sub("", phrase)) != phrase:
            phrase = shorter
        kept = [
            word
            for word in phrase.split()
            if (word.casefold() not in _EMPTY_PARTS or (word == "types" and " " in phrase))
            and not word.isdigit()
            and word.casefold() not in own
        ]
        if kept and max(len(word) for word in kept) > 1:
            if kept[0] in _PREFIXES and len(kept) == 1:
                return part
            if len(kept) > 1:
                return " ".join(kept) if any(word.casefold() in own for word in phrase.split()) else phrase
            above = _named(parts[:at], own, spelling) if kept[0] in _GENERIC and at > 1 else ""
            return f"{above} {kept[0]}" if above and above.casefold() != kept[0].casefold() else kept[0]
    return ""


def _words(part: str, spelling: Spelling) -> list[str]:
    """The words of one part of a dotted name, spelled as a reader would write them, without what says nothing to one."""
    made: list[str] = []
    pieces = _NUMBERED.findall(part)[0] if _NUMBERED.fullmatch(part) else _WORD.findall(part)
    longest = LONGEST_UNKNOWN + 2 if "_" in part else LONGEST_UNKNOWN
    for word in filter(None, pieces):
        letters = word.rstrip("0123456789")
        known = _ACRONYMS.get(word.lower())
        if known is None and letters.lower() in _ACRONYMS:
            known = f"{_ACRONYMS[letters.lower()]}{word[len(letters) :]}"
        if known is not None:
            made.append(known)
        elif word.isupper() and len(word) > 1:
            made.append(word)
        elif word.lower() in _SPELLED_OUT:
            made += _SPELLED_OUT[word.lower()].split()
        elif not ((part.islower() or word == part) and spelling.says_nothing(word, longest)):
            found = spelling.words(word)
            made += [
                inner
                for each in found
                for inner in (_ACRONYMS.get(each.lower()) or _SPELLED_OUT.get(each, each)).split()
            ]
    return made


def _tidy(name: str) -> str:
    name = " ".join(
        _ACRONYMS.get(word.lower(), word) if word.islower() else word for word in name.strip(" .:,-").split()
    )
    first = name.partition(" ")[0]
    kept = first != first.lower() or first.lower() in _ACRONYMS
    return name if kept else name[:1].upper() + name[1:]
