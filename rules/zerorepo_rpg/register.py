"""What this rule set offers: the macro ``repository`` and the rules that it and its expansions are made of."""

from zerorepo.plugins import RuleSet
from zerorepo.query_api import EXPRESSION, INTEGER, WORD, QueryFunction

_RULES = "zerorepo_rpg.rules."

RULE_SET = RuleSet(
    name="rpg",
    rules={
        "repository": _RULES + "repository:repository",
        "rpg_spec": _RULES + "spec:rpg_spec",
        "rpg_review": _RULES + "spec_review:rpg_review",
        "rpg_lock": _RULES + "lock:rpg_lock",
        "rpg_lock_types": _RULES + "sound_lock:rpg_lock_types",
        "rpg_features": _RULES + "stages:rpg_features",
        "rpg_limits": _RULES + "limits:rpg_limits",
        "rpg_modules": _RULES + "stages:rpg_modules",
        "rpg_base_classes": _RULES + "stages:rpg_base_classes",
        "rpg_files": _RULES + "module_plan:rpg_files",
        "rpg_interfaces": _RULES + "module_plan:rpg_interfaces",
        "rpg_plan": _RULES + "plan:rpg_plan",
        "node_interface": _RULES + "node:node_interface",
        "node_tests": _RULES + "node:node_tests",
        "node_code": _RULES + "node_code:node_code",
        "node_test": _RULES + "node:node_test",
        "node": _RULES + "node:node",
        "integration_tests": _RULES + "staged:integration_tests",
        "integration_test": _RULES + "staged:integration_test",
        "smoke_tests": _RULES + "smoke:smoke_tests",
        "smoke_test": _RULES + "smoke:smoke_test",
        "rpg_examples": _RULES + "examples:rpg_examples",
        "existing_tests": _RULES + "existing_code:existing_tests",
        "existing_code": _RULES + "existing_code:existing_code",
        "renamed_tests": _RULES + "carried:renamed_tests",
        "renamed_code": _RULES + "carried:renamed_code",
        "rpg_amend": _RULES + "amend:rpg_amend",
        "rpg_assemble": _RULES + "repository:rpg_assemble",
        "rpg_suite": _RULES + "repository:rpg_suite",
        "rpg_repository": _RULES + "repository:rpg_repository",
    },
    query_functions={
        "node": QueryFunction(
            "zerorepo_rpg.plan_query:node",
            (EXPRESSION, WORD),
            summary='targets of x whose node in the plan has attributes such as "level=FEATURE and module=auth"',
        ),
        "flow": QueryFunction(
            "zerorepo_rpg.plan_query:flow",
            (EXPRESSION, INTEGER),
            optional=1,
            summary="x and the targets of the modules that its data flows to, to a depth",
        ),
    },
    commands={
        "commit": "zerorepo_rpg.cli.commit_command:commit",
        "diff": "zerorepo_rpg.cli.diff_command:diff",
        "failures": "zerorepo_rpg.cli.failures_command:failures",
        "graph": "zerorepo_rpg.cli.graph_command:graph",
        "plan": "zerorepo_rpg.cli.plan_command:plan",
        "spec": "zerorepo_rpg.cli.spec_command:spec_app",
    },
    templates={"repository": "zerorepo_rpg.template:repository"},
    scans={"repository": "zerorepo_rpg.template:from_code"},
)
