"""What a docstring or a name says that a symbol does, in a few plain words; nothing for what is plumbing.

Knows nothing of where symbols come from.
"""

from __future__ import annotations

import inspect
import re

LONGEST = 100
"""Characters of a feature's name."""
_LONGEST_DESCRIPTION = 220
_ROLE = re.compile(r":[a-zA-Z0-9:+_-]+:`~?\.?!?([^`<]+?)(?:\s*<[^`]*>)?`")
_RFC = re.compile(r":rfc:`(\d+)[^`]*`")
_TICKS = re.compile(r"``([^`]*)``|`([^`]*)`_{0,2}")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)|<https?://[^>]*>|https?://\S+")
_EMPHASIS = re.compile(r"\*\*([^*]+)\*\*|(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])")
_TAG = re.compile(r"\[[A-Za-z ]{3,20}\]\s*|^\([A-Za-z ]+\)\s*|\s*\[\d+\]_?")
_SENTENCE = re.compile(r"(?<![ .][A-Z])(?<!e\.g)(?<!i\.e)(?<!etc)(?<!vs)[.!?](?=\s|$)|\s(?:--|—)\s|;\s")
_BAD_START = re.compile(
    r"^(>>>|\.\.|:|@|\||=+|-{2,}|#|\{|<|\[|usage:|note|see |deprecated|alias|same as|like |synonym|backport|internal|private|"
    r"do not|not implemented|todo|fixme|helper|overrid|override|this (method|function|class|is)|default implementation|abstract|"
    r"base class|mixin|subclass|metaclass|placeholder|stub|no-?op|return self|"
    r"returns? (the )?(string|repr|hash|true\b|false\b)|initiali[sz]e self|see help|called (by|when|after|before)|hook |"
    r"private |raised? (when|if)|exception raised|thrown|error raised|represents? an? error|wrapper (for|around) |shortcut|"
    r"convenience|same )",
    re.IGNORECASE,
)
_BAD = re.compile(
    r"deprecated|__\w+__|backward[s]?[- ]compat|for internal use|docstring|subclasses (should|must|may|can)|\bTODO\b|"
    r"\bis an alias\b|\(binary operator",
    re.I,
)
_PLUMBING = frozenset(
    re.findall(
        r"\w+",
        """get set items keys values pop update copy clear close open next add remove append extend insert index count
        setup teardown run main init start stop read write name repr clone dump load describe info help validate check
        to_dict from_dict as_dict to_json from_json dict json get_params set_params get_config from_config
        get_metadata_routing build call forward reset state get_state set_state is_valid exists size shape dtype wait
        join acquire release flush seek tell fileno isatty readable writable dispatch handle handler emit setup_class
        get_context get_context_data get_queryset get_object deconstruct formfield assert_called free finalize visit
        leave accept traverse generic_visit eval eq ne lt gt le ge doit""",
    )
)
_FILLER = re.compile(
    r"^(a |an |the )?(class|function|method|object|helper|utility|decorator|context manager|generator|mapping|view|mixin|type|"
    r"instance)s?( (that|which|to|for|used to|used for|representing|of|class))\s+",
    re.IGNORECASE,
)
_SPLIT = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


def first_sentence(doc: str) -> str:
    """The first sentence of a docstring, without markup; "" when there is none that says something."""
    paragraph: list[str] = []
    for line in inspect.cleandoc(doc).splitlines():
        stripped = line.strip()
        if not stripped:
            if paragraph:
                break
            continue
        if paragraph and (
            set(stripped) <= set("=-~^*#") or re.match(r"(:\w+|>>>|\.\. |Args:|Parameters|Returns)", stripped)
        ):
            if set(stripped) <= set("=-~^*#"):
                # A heading: what it says is a name, and the text comes after it.
                paragraph = []
                continue
            break
        if not (set(stripped) <= set("=-~^*#")):
            paragraph.append(stripped)
    text = plain(" ".join(paragraph))
    cut = _SENTENCE.search(text)
    return (text[: cut.start()] if cut else text).strip(" .:;,-")


def plain(text: str) -> str:
    """Without reStructuredText and Markdown."""
    text = _ROLE.sub(r"\1", _RFC.sub(r"RFC \1", text))
    text = _TICKS.sub(lambda m: m.group(1) or m.group(2) or "", text)
    text = _LINK.sub(lambda m: m.group(1) or "", text)
    text = _EMPHASIS.sub(lambda m: m.group(1) or m.group(2) or "", text)
    return " ".join(_TAG.sub("", text).split())


def feature_text(name: str, doc: str, fewest: int = 3) -> str:
    """What a documented symbol does, as a phrase; "" for plumbing and for texts that say nothing to a planner.

    ``fewest``: words that such a text has at least.
    """
    if name in _PLUMBING:
        return ""
    text = first_sentence(doc)
    if _BAD_START.match(text) or _BAD.search(text):
        return ""
    words = text.split()
    letters = sum(each.isalpha() or each == " " for each in text)
    if len(words) < fewest or letters < 0.8 * len(text) or not text.isprintable():
        return ""
    return shortened(_lower_first(_FILLER.sub("", text)))


def with_name(name: str, text: str) -> str:
    """``text`` after a ``name`` of one word that it does not say: ``Ridge: linear least squares with l2 regularization``."""
    if len(name) < 3 or not name.isalpha() or len(name_words(name)) > 1 or name in _PLUMBING:
        return text
    said = re.sub(r"[^a-z]", "", text.casefold())
    return text if name.casefold() in said else f"{name}: {text}"


def name_text(name: str) -> str:
    """A name of several words as a phrase: ``load_pem_private_key`` is ``load pem private key``; "" when it is one word."""
    if name in _PLUMBING:
        return ""
    words = _SPLIT.findall(name)
    kept = [each if each.isupper() and len(each) > 1 else each.lower() for each in words]
    if len(kept) < 2 or max(len(each) for each in kept) < 4 or kept[-1] in ("error", "exception", "warning"):
        return ""
    return " ".join(kept)


def name_words(text: str) -> list[str]:
    """Words of a name or a phrase in lower case: ``read_csv`` and ``ReadCSV`` alike give ``read``, ``csv``."""
    return [each.lower() for each in _SPLIT.findall(text)]


def shortened(text: str, longest: int = LONGEST) -> str:
    """Cut at a comma, a bracket or a word."""
    text = text.strip(" .,:;")
    if len(text) <= longest:
        return text
    cut = text[:longest]
    for mark in (", ", " (", ": ", " which ", " that ", " where ", " "):
        at = cut.rfind(mark)
        if at >= longest * 0.45:
            return cut[:at].rstrip(" ,.:;(")
    return cut


def description(doc: str, name: str) -> str:
    """The first sentence when it says more than ``name`` does."""
    text = first_sentence(doc)
    if not text or (text.casefold().startswith(name.casefold()) and len(text) - len(name) < 12):
        return ""
    return shortened(text, _LONGEST_DESCRIPTION)


def _lower_first(text: str) -> str:
    first, _, rest = text.partition(" ")
    if len(first) > 1 and first[1:].islower() and first[0].isupper():
        return f"{first.lower()} {rest}"
    return text
