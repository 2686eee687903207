"""Capabilities are named in words that a person would use, from what a module or class says of itself, or from its name."""

from __future__ import annotations

import pytest

from zerorepo_ontology import naming


@pytest.mark.parametrize(
    ("section", "text", "name"),
    [
        ("sympy.polys.groebnertools", "Groebner bases algorithms", "Groebner bases algorithms"),
        ("keras.layers", "DO NOT EDIT", "Layers"),
        ("imblearn.pipeline", "The imblearn.pipeline module implements utilities", "Pipeline"),
        ("sympy.logic.boolalg", "Boolean algebra module for SymPy", "Boolean algebra"),
        ("discord.app_commands", "A class that implements an application command", "Application command"),
        ("jwt.utils", "", ""),
        ("oscar.apps.search.forms", "", "Search forms"),
        ("cryptography.x509", "", "X509"),
        ("authlib.oauth2.rfc6750", "", "RFC 6750"),
        ("faker.providers.bank.es_MX", "", "Bank"),
        ("flask.sessions", "", "Sessions"),
        ("urllib3.connectionpool", "", "Connection pool"),
        ("sklearn.metrics", "Score functions, performance metrics, pairwise metrics", "Score functions"),
        ("matplotlib.layout", "Each layout object is a single", "Layout"),
        ("sklearn.svm", "Support vector machine algorithms", "Support vector machine algorithms"),
        ("numpy.linalg", "", "Linear algebra"),
        ("tornado.http1connection", "Client and server implementations of HTTP/1.x", "HTTP1 connection"),
        ("nltk.tag", "NLTK Taggers", "Taggers"),
        ("pendulum.time", "Represents a time instance as hour, minute, second, microsecond", "Time instance"),
        ("git.index.typ", "", "Index"),
        ("nltk.sem.chat80", "Chat-80 was a natural language system", "Chat80"),
        ("matplotlib.gridspec", "matplotlib.gridspec contains classes that help to layout", "Grid specification"),
        ("galgebra.ga.Ga", "The vector space (basis, metric, derivatives of basis vectors)", "Vector space"),
        ("sympy.printing.octave", "Octave (and Matlab) code printer", "Octave code printer"),
        ("bs4.dammit", "Beautiful Soup bonus library: Unicode, Dammit", "Beautiful Soup bonus library"),
        ("random", "Random variable generators", "Random variable generators"),
        ("aiohttp.client_reqrep", "", "Client"),
        ("pydantic.datatypes", "", "Data types"),
        ("pandas.core.dtypes.dtypes", "", "Data types"),
    ],
)
def test_a_module_is_named_by_what_it_says_or_by_its_last_word_that_means_something(
    section: str, text: str, name: str
) -> None:
    library = {"imblearn": "imbalanced-learn", "jwt": "PyJWT"}.get(section.partition(".")[0], section.partition(".")[0])
    if library == "random":
        library = naming.STANDARD_LIBRARY
    assert naming.capability_name(section, text, library)[0] == name


@pytest.mark.parametrize(
    ("section", "text", "name"),
    [
        ("tornado.web.RequestHandler", "Base class for HTTP request handlers", "Request handler"),
        ("pyglet.math.Vec2", "A two-dimensional vector represented as an X Y coordinate pair", "Vec2"),
        ("pypdf.PdfWriter", "Write a PDF file out", "PDF writer"),
        ("apscheduler.schedulers.BaseScheduler", "Abstract base class for all schedulers", "Scheduler"),
        ("wtforms.fields.FileFieldMixin", "", "File field"),
    ],
)
def test_a_class_is_named_by_its_name_where_that_has_words(section: str, text: str, name: str) -> None:
    assert naming.capability_name(section, text, section.partition(".")[0], is_class=True)[0] == name


def test_what_was_left_out_of_a_name_is_in_its_description() -> None:
    name, about = naming.capability_name("tornado.routing", "Flexible routing implementation, with rules", "tornado")
    assert (name, about) == ("Flexible routing implementation", "Flexible routing implementation, with rules")
