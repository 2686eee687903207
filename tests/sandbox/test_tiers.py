"""Which tier is used: found out by attacks, configured for a workspace or a target, never silently another."""

import asyncio
from dataclasses import replace

import pytest
from sandbox_harness import need

from zerorepo.errors import EnvironmentFailure, UsageError
from zerorepo.target import TestReport
from zerorepo.testing import RuleRunner
from zerorepo_sandbox import environment, image, proof
from zerorepo_sandbox.bubblewrap import Bubblewrap
from zerorepo_sandbox.register import RULE_SET
from zerorepo_sandbox.settings import SandboxSettings

TEST = '[[target]]\nname = "t"\nrule = "command_test"\ncmd = "true"\n'
NOWHERE = "unix:///nowhere/docker.sock"


@pytest.fixture
def own_record(tmp_path, monkeypatch):
    """A machine on which nothing was tried yet."""
    monkeypatch.setenv("ZEROREPO_SANDBOX_DIR", str(tmp_path / "sandbox"))


@pytest.fixture
def runner(tmp_path):
    def make(text: str) -> RuleRunner:
        return RuleRunner(tmp_path / "ws", {"zerorepo.toml": text}, rule_sets=[RULE_SET])

    return make


class Leaky(Bubblewrap):
    """Bubblewrap that shows a folder too many."""

    async def resident(self, world, argv, env, most):
        return await super().resident(replace(world, system=(*world.system, "/var/tmp")), argv, env, most)


class Counting(Bubblewrap):
    """Counts the workers that it started."""

    started = 0

    async def resident(self, world, argv, env, most):
        type(self).started += 1
        return await super().resident(world, argv, env, most)


def test_bubblewrap_stops_every_attack_of_the_probe(state_dir):
    need("bubblewrap")
    result = asyncio.run(_prove(Bubblewrap(), state_dir))
    assert set(result.attacks) == set(proof.ATTACKS)
    assert result.failed == ()


def test_a_tier_that_shows_too_much_is_found_out_and_refused(state_dir, own_record):
    need("bubblewrap")
    assert asyncio.run(_prove(Leaky(), state_dir)).failed == ("files of the machine",)

    async def site():
        return environment.prepare(state_dir)

    with pytest.raises(EnvironmentFailure, match="does not hold on this machine; not stopped: files of the machine"):
        asyncio.run(proof.ensure(Leaky(), site))
    assert not proof.record_file().exists()


def test_what_held_is_found_out_once(state_dir, own_record):
    need("bubblewrap")

    async def site():
        return environment.prepare(state_dir)

    for _ in range(2):
        asyncio.run(proof.ensure(Counting(), site))
    assert Counting.started == 1


async def _prove(tier, state_dir):
    try:
        await tier.check()
        return await proof.prove(tier, environment.prepare(state_dir))
    finally:
        await tier.close()


def test_the_best_tier_is_used_and_every_verdict_says_which(runner):
    need("bubblewrap")
    run = runner(TEST).build_ok()
    assert run.provider("//:t", TestReport).sandbox == "bubblewrap"


def test_without_any_sandbox_the_build_stops_with_every_reason_and_what_to_install(runner, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)
    error = str(runner(TEST).build().error("//:t"))
    assert "No sandbox works on this machine" in error
    assert "bubblewrap: The sandbox needs bubblewrap" in error and "docker: No docker engine answers" in error
    assert "install-system-packages.sh" in error


@pytest.mark.parametrize("tier", ["docker", "gvisor"])
def test_a_configured_tier_that_is_missing_stops_the_build_instead_of_another_one(runner, monkeypatch, tier):
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)
    error = str(runner(f'[sandbox]\ntier = "{tier}"\n{TEST}').build().error("//:t"))
    assert "No docker engine answers at unix:///nowhere/docker.sock" in error
    assert "apt-get install docker.io" in error


def test_a_remote_engine_is_refused_since_it_could_not_show_our_folders(runner, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:2375")
    error = str(runner(f'[sandbox]\ntier = "docker"\n{TEST}').build().error("//:t"))
    assert "needs a docker engine on this machine" in error


def test_an_image_that_was_not_made_is_named_with_the_command_that_makes_it(runner, monkeypatch, tmp_path):
    need("docker")
    monkeypatch.setenv("ZEROREPO_SANDBOX_DIR", str(tmp_path / "empty"))
    error = str(runner(f'[sandbox]\ntier = "docker"\n{TEST}').build().error("//:t"))
    assert "has not been made on this machine" in error and image.BUILD_COMMAND in error


def test_a_target_may_ask_for_a_tier_of_its_own(runner):
    need("docker")
    text = TEST + TEST.replace('"t"', '"hostile"') + 'sandbox = "docker"\n'
    run = runner(text).build_ok()
    assert run.provider("//:t", TestReport).sandbox == "bubblewrap"
    assert run.provider("//:hostile", TestReport).sandbox == "docker"


@pytest.mark.parametrize(
    ("name", "why"), [("gviser", "did you mean `gvisor`"), ("unsafe", "takes the flag --unsafe"), ("vm", "known tiers")]
)
def test_a_target_that_asks_for_no_tier_is_bad_usage(runner, name, why):
    with pytest.raises(UsageError, match=why):
        runner(f'{TEST}sandbox = "{name}"\n').build()


def test_the_default_is_the_best_that_holds():
    assert SandboxSettings().tier == "auto"
