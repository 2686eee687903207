"""The query language: Bazel's, over any graph of targets.

``run_query`` answers an expression as text, ``evaluate_query`` as nodes, ``expand_patterns`` is for build and test
commands. Make the graph with `GraphBuilder`; add functions with `Function` and `FunctionTable`.
"""

from zerorepo.query.builder import GraphBuilder
from zerorepo.query.errors import QueryEvaluationError, QuerySyntaxError
from zerorepo.query.evaluator import QueryContext
from zerorepo.query.expansion import Expansion, TargetFilters, expand_patterns
from zerorepo.query.functions import BUILTINS
from zerorepo.query.graph import Nodes, QueryGraph
from zerorepo.query.parser import parse
from zerorepo.query.registry import Arguments, Function, FunctionTable, Parameter
from zerorepo.query.run import Answer, QueryResult, evaluate_query, run_query
from zerorepo.query.syntax import unparse

__all__ = [
    "BUILTINS",
    "Answer",
    "Arguments",
    "Expansion",
    "Function",
    "FunctionTable",
    "GraphBuilder",
    "Nodes",
    "Parameter",
    "QueryContext",
    "QueryEvaluationError",
    "QueryGraph",
    "QueryResult",
    "QuerySyntaxError",
    "TargetFilters",
    "evaluate_query",
    "expand_patterns",
    "parse",
    "run_query",
    "unparse",
]
