"""What this rule set offers, by import path. Imports nothing of it."""

from zerorepo.plugins import RuleSet

RULE_SET = RuleSet(
    name="sandbox",
    rules={
        "command": "zerorepo_sandbox.rules:command",
        "command_test": "zerorepo_sandbox.rules:command_test",
    },
    settings={
        "sandbox": "zerorepo_sandbox.settings:SandboxSettings",
        "sandbox_environment": "zerorepo_sandbox.environment:TestEnvironment",
    },
    probes={"sandbox": "zerorepo_sandbox.probe:probe"},
)
