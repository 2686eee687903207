"""What this rule set offers, by import path. Imports nothing of it."""

from __future__ import annotations

from zerorepo.checks import Check
from zerorepo.plugins import RuleSet

RULE_SET = RuleSet(
    name="ontology",
    rules={
        "ontology": "zerorepo_ontology.rules:ontology",
        "ontology_distribution": "zerorepo_ontology.rules:ontology_distribution",
        "ontology_stdlib": "zerorepo_ontology.rules:ontology_stdlib",
        "ontology_classifiers": "zerorepo_ontology.rules:ontology_classifiers",
        "ontology_curated": "zerorepo_ontology.rules:ontology_curated",
        "ontology_table": "zerorepo_ontology.rules:ontology_table",
        "ontology_folder": "zerorepo_ontology.rules:ontology_folder",
        "ontology_web_features": "zerorepo_ontology.platform_rules:ontology_web_features",
        "ontology_browser_data": "zerorepo_ontology.platform_rules:ontology_browser_data",
        "ontology_cloud_services": "zerorepo_ontology.platform_rules:ontology_cloud_services",
        "ontology_tree": "zerorepo_ontology.rules:ontology_tree",
        "ontology_file": "zerorepo_ontology.rules:ontology_file",
        "feature_selection": "zerorepo_ontology.select_rule:feature_selection",
    },
    settings={"ontology": "zerorepo_ontology.settings:OntologySettings"},
    commands={"ontology": "zerorepo_ontology.cli:ontology_app", "select": "zerorepo_ontology.select_command:select"},
    checks={"weights": Check("zerorepo_ontology.doctor:weights", limit_s=20.0)},
)
