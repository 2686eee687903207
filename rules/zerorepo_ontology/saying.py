"""What a module or class says of itself, as a name; nothing where that is a sentence, code, or says nothing.

Knows nothing of how modules are named otherwise.
"""

from __future__ import annotations

import re

_MOST_WORDS = 7
_LONGEST = 62
_DULL = re.compile(
    r"^(this|each|our|my|some|several|misc|do not|re-?import|public|temporary|base|internal|helper|created|copyright|wrapper|note|"
    r"used|see|that\b|in\b|as\b|and\b|with\b|to\b|hub\b|"
    r"main\b|custom\b|container for|abstract|mixin|contains?\b|provides?\b|defines?\b|common\b|various|useful|bunch|informational|"
    r"generally|commonly|foundational|experimental|new experimental|absolute minimum|mix-?in|automatically|example\b|examples to|"
    r"library|additional|basic|version|"
    r"enumerations used|miscellaneous|functionality|shortcuts?\b|if |for |when |it |all |any |most |here|stuff|import|python|"
    r"(collection|set|variety|implementations?|functions?|tools|routines|classes|modules?|packages?)\b)|"
    r"\b(include|includes|is|are|was|were|has|have|act|corresponds|basically|one|used|needed|we|module|package|docstring|"
    r"subclass(es|ing)?|licen[cs]e|provides?|implements?|contains?|defines?|implemented|adapted|initiali[sz]es?|according|loads|"
    r"copyright|deprecated|etc|different|common to|utility|utilities)\b|[:=<>`{}\\[\\]|\"#]| - | \.\w|\w\.[a-z]{2}|\w_|_\w|"
    r"\b(a|an|the|of|and|or|to|with|in|for|by|that|which|from|single|using|on|at|as|between|including|\w|"
    r"given|stored|positioned|defined|expected|found|thrown|related|assorted|in the style)$",
    re.IGNORECASE,
)
"""What makes a sentence no name: how it begins, words of a whole sentence, code in it, and how something cut off ends."""
_ARTICLE = re.compile(r"^(an?|the|very simple and \w+|(?-i:[Ss]imple(?= [a-z]))|single|one)\s+", re.IGNORECASE)
_VERB = re.compile(
    r"^(represents?|representing|representation of|implements?|implementing|implementation of|describes?|describing|handles?|"
    r"encapsulates?|models|manages?|managing|holds?|holder for|class for|classes for|functions? for|functions? to|support for|"
    r"performs?|tools for|tools? set for|"
    r"utilit(y|ies) for|utility to|routines for|factory (class )?for|port of|stores?|definition of|"
    r"methods? (for|to)|interface to|interface for|objects? for|(class|object) that \w+s|"
    r"(class|object)s? (for|to)( \w+(?= an?\b| the\b))?|"
    r"module for|tools to|classes to|(helpers|code|utilities) (for|to))\s+",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"(\s+|,\s*)((and )?related objects|(classes|functions) and (classes|functions)|(utility|helper) (functions|routines|objects)|"
    r"(utility |helper )?(modules?|classes|class|utilities)|(object )?definitions?|module, with .*)$|"
    r"-related( (objects|classes|functions))?$",
    re.IGNORECASE,
)
_LAST_OF_A_LIST = re.compile(r"\s+(as|with|including|like|for|of|in) (the )?[\w-]+$", re.IGNORECASE)
"""Before a comma: "time instance as hour, minute and second" tells of time instances."""
_QUOTED = re.compile(r'^"([^"]*)"$')


def spoken(text: str, own: frozenset[str] | set[str] = frozenset()) -> str:
    """What a module or class says of itself, as a name; "" when it is no name. ``own``: names of the library."""
    if not text.isascii():
        return ""
    text = text.strip(" .")
    whole = re.sub(r"\s*\([^)]*\)", "", text)
    text = whole if len(whole.split()) <= _MOST_WORDS else text.partition(" (")[0]
    names = "|".join(re.escape(each) for each in sorted(own))
    if names:
        text = re.sub(
            rf"\s+(module |support )?(for|in|of|from)\s+(the\s+)?({names})(\.\w+|'s)*$", "", text, flags=re.IGNORECASE
        )
        shorter = re.sub(rf"^({names})(\.\w+)*('s)?\s+((support|interface) for\s+)?", "", text, flags=re.IGNORECASE)
        if shorter != text and re.fullmatch(r"[A-Za-z][a-z]{4,}", shorter) and not _DULL.search(shorter):
            return shorter
        text = shorter
    while (shorter := _VERB.sub("", _ARTICLE.sub("", text))) != text:
        text = shorter
    whole, text = text, re.split(r", | which | that |: | where | -- | \(", text)[0]
    if whole[len(text) :].startswith(", "):
        text = _LAST_OF_A_LIST.sub("", text)
    text = _QUOTED.sub(r"\1", _TAIL.sub("", text).strip(" -,"))
    if _DULL.search(text) or len(text) > _LONGEST or not 2 <= len(text.split()) <= _MOST_WORDS:
        return ""
    return text
