"""``cost(x)`` of the query language: targets by what the questions of each have cost, read from the ledger. Spends nothing."""

from __future__ import annotations

from zerorepo.query_api import QueryView
from zerorepo_llm.files import state_dir
from zerorepo_llm.ledger import Ledger, usd


def cost(view: QueryView, targets: frozenset[str]) -> dict[str, float]:
    """Each target with what was spent on it, in US dollars; 0 for one that asked nobody."""
    ledger = Ledger(state_dir(view.workspace))
    try:
        spent = {each.group[0]: usd(each.spent_nusd) for each in ledger.sums("target")}
    finally:
        ledger.close()
    return {label: spent.get(label, 0.0) for label in targets}
