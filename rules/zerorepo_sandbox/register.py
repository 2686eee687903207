"""What this rule set offers, by import path. Imports nothing of it."""

from zerorepo.checks import Check
from zerorepo.plugins import RuleSet

RULE_SET = RuleSet(
    name="sandbox",
    rules={
        "command": "zerorepo_sandbox.rules:command",
        "command_test": "zerorepo_sandbox.rules:command_test",
    },
    settings={
        "sandbox": "zerorepo_sandbox.settings:SandboxSettings",
        "sandbox_chosen": "zerorepo_sandbox.settings:ChosenTier",
        "sandbox_image": "zerorepo_sandbox.settings:ContainerImage",
        "sandbox_environment": "zerorepo_sandbox.environment:TestEnvironment",
    },
    commands={"sandbox": "zerorepo_sandbox.cli:sandbox_app"},
    probes={"sandbox": "zerorepo_sandbox.probe:probe"},
    checks={
        "tier": Check("zerorepo_sandbox.doctor:chosen", limit_s=120.0),
        "bubblewrap": Check("zerorepo_sandbox.doctor:bubblewrap", limit_s=60.0),
        "docker": Check("zerorepo_sandbox.doctor:docker", limit_s=90.0),
        "gvisor": Check("zerorepo_sandbox.doctor:gvisor", limit_s=120.0),
    },
)
