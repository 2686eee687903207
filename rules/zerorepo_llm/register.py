"""What this rule set offers, by import path. Imports nothing heavy and knows nothing of how it is used."""

from __future__ import annotations

from zerorepo.checks import Check
from zerorepo.plugins import RuleSet
from zerorepo.query_api import EXPRESSION, QueryFunction

RULE_SET = RuleSet(
    name="llm",
    settings={"llm": "zerorepo_llm.settings:LLMSettings"},
    commands={
        "desk": "zerorepo_llm.cli:desk_app",
        "transcripts": "zerorepo_llm.cli:transcripts_app",
        "prompt": "zerorepo_llm.prompt_command:prompt",
        "cost": "zerorepo_llm.cost_command:cost",
    },
    query_functions={
        "cost": QueryFunction("zerorepo_llm.cost_query:cost", (EXPRESSION,), summary="x, what has cost most first"),
    },
    probes={"llm": "zerorepo_llm.probe:probe"},
    checks={"provider": Check("zerorepo_llm.doctor:check", limit_s=40.0)},
)
