"""Order: dependencies first, each key once, cycles shown as a path, limits kept, failures contained."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given as given_
from hypothesis import strategies as st

from zerorepo.errors import ActionFailed, BudgetRefused, CycleError, ExitCode, InternalError, TransientFailure
from zerorepo.events import Event
from zerorepo.heights import heights
from zerorepo.scheduler import BuildStopped, DependencyFailed, Job, Scheduler
from zerorepo.testing import RuleRunner


def target(name: str, rule: str = "cat", **attrs: object) -> str:
    def toml(value: object) -> str:
        return str(value).lower() if isinstance(value, bool) else repr(value)

    return f'[[target]]\nname = "{name}"\nrule = "{rule}"\n' + "".join(f"{k} = {toml(v)}\n" for k, v in attrs.items())


def test_a_cycle_through_dynamic_dependencies_is_shown_and_does_not_hang(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(
        target("a", more="a.txt") + target("b", more="b.txt") + target("c", deps=[":a"]) + target("top", deps=[":b"]),
        {"a.txt": "//:b", "b.txt": "//:c"},
    )
    for options in ({}, {"keep_going": True}, {"dry_run": True}):
        run = runner.build(**options)
        cycles = [error for error in run.result.failed.values() if isinstance(error, CycleError)]
        assert len(cycles) == 1
        assert cycles[0].path == ("//:a", "//:b", "//:c", "//:a")
    runner.write("b.txt", "")
    assert set(runner.build_ok().ran) == {"//:a", "//:b", "//:c", "//:top"}


def test_waiting_for_oneself_is_a_cycle(toys: Callable[..., RuleRunner]) -> None:
    error = toys(target("a", more="a.txt"), {"a.txt": "//:a"}).build().error("//:a")
    assert isinstance(error, CycleError)
    assert error.path == ("//:a", "//:a")


def test_a_chain_of_thousands_needs_no_deep_stack(toys: Callable[..., RuleRunner]) -> None:
    chain = target("t0", srcs=["a"]) + "".join(target(f"t{n}", deps=[f":t{n - 1}"]) for n in range(1, 1500))
    runner = toys(chain, {"a": "A"})
    assert len(runner.build_ok("//:t1499").ran) == 1500


def test_an_action_that_two_targets_ask_for_runs_once(toys: Callable[..., RuleRunner]) -> None:
    run = toys(
        target("x", srcs=["a"]) + target("y", srcs=["a"]) + target("z", srcs=["b"]), {"a": "A", "b": "A"}
    ).build_ok()
    assert len(run.actions) == 1
    assert len(run.ran) == 3


def test_a_diamond_is_built_once(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(
        target("a", srcs=["f"]) + target("b", deps=[":a"]) + target("c", deps=[":a"]) + target("d", deps=[":b", ":c"]),
        {"f": "F"},
    )
    run = runner.build_ok("//:d")
    assert sorted(run.ran) == ["//:a", "//:b", "//:c", "//:d"]
    assert runner.outputs()["d"] == b"FF"


@pytest.mark.parametrize("jobs", [1, 3])
def test_jobs_is_a_limit_that_is_used(toys: Callable[..., RuleRunner], jobs: int) -> None:
    at_work, most = set[str](), 0

    def watch(event: Event) -> None:
        nonlocal most
        if event.kind == "action":
            (at_work.add if event.new == "running" else at_work.discard)(event.id)
            most = max(most, len(at_work))

    runner = toys("".join(target(f"s{n}", "slow", seconds=0.02) for n in range(8)))
    runner.build(jobs=jobs, subscriber=watch)
    assert most == jobs


def test_a_failure_lets_running_actions_end_and_starts_no_more(toys: Callable[..., RuleRunner]) -> None:
    targets = (
        target("s0", "slow", seconds=0.05)
        + target("bad", srcs=["f"], deps=[":s0"])
        + target("s1", "slow", seconds=0.5)
        + target("s3", "slow", seconds=0.1, deps=[":s1"])
    )
    runner = toys(targets + target("after", deps=[":s1"]), {"f": "!fail"})
    run = runner.build("//...", jobs=2)
    assert run.failed == ["//:bad"]
    assert run.actions == [("Slow", "//:s0"), ("Slow", "//:s1")]
    assert {"//:s3", "//:after"} <= set(run.skipped)
    runner.write("f", "good")
    assert ("Slow", "//:s1") not in runner.build_ok().actions


def test_keep_going_builds_everything_that_does_not_need_the_failure(toys: Callable[..., RuleRunner]) -> None:
    targets = (
        target("bad", srcs=["f"])
        + target("user", deps=[":bad"])
        + target("far", deps=[":user"])
        + target("ok", srcs=["g"])
        + target("r", "refuse")
    )
    run = toys(targets, {"f": "!fail", "g": "G"}).build(keep_going=True, jobs=1)
    assert sorted(run.failed) == ["//:bad", "//:r"]
    assert sorted(run.skipped) == ["//:far", "//:user"]
    assert run.ran == ["//:ok"]
    assert "`//:bad` failed" in next(why for label, why in run.result.skipped.items() if str(label) == "//:far")


@pytest.mark.parametrize(
    ("word", "error", "code"),
    [
        ("!fail", ActionFailed, 1),
        ("!transient", TransientFailure, 1),
        ("!budget", BudgetRefused, 5),
        ("!bug", InternalError, 1),
    ],
)
def test_a_failed_action_is_never_remembered(
    toys: Callable[..., RuleRunner], word: str, error: type[Exception], code: int
) -> None:
    runner = toys(target("x", srcs=["f"]), {"f": word})
    for _ in range(2):
        run = runner.build()
        assert run.actions_in("failed") == [("Cat", "//:x")]
        assert isinstance(run.error("//:x"), error)
        assert run.error("//:x").exit_code == ExitCode(code)  # type: ignore[attr-defined]


def test_a_rules_bug_fails_its_target_and_names_it(toys: Callable[..., RuleRunner]) -> None:
    error = toys(target("x", srcs=["f"]), {"f": "!bug"}).build().error("//:x")
    assert isinstance(error, InternalError)
    assert "Cat of `//:x` broke: ZeroDivisionError: oops" in error.message


def run_jobs(graph: dict[str, list[str]], wanted: list[str], **options: bool) -> tuple[list[str], list[object]]:
    """Drive the scheduler alone with a graph of names; "!" in a name fails."""
    order: list[str] = []

    async def main() -> list[object]:
        async def work(job: Job[str]) -> str:
            key = str(job.key)
            await asyncio.gather(*(scheduler.demand(need, job) for need in graph.get(key, [])))
            order.append(key)
            if "!" in key:
                raise ActionFailed(key)
            return key.upper()

        scheduler: Scheduler[str] = Scheduler(work, keep_going=options.get("keep_going", True), pools={})
        return list(await asyncio.gather(*(scheduler.demand(key) for key in wanted), return_exceptions=True))

    return order, asyncio.run(main())


def test_what_is_demanded_ends_before_who_demands_it() -> None:
    order, results = run_jobs({"a": ["b", "c"], "b": ["d"], "c": ["d"]}, ["a", "d"])
    assert results == ["A", "D"]
    assert sorted(order) == ["a", "b", "c", "d"]
    assert order[0] == "d"
    assert order[-1] == "a"


def test_a_failure_names_its_root_to_everyone_above() -> None:
    _, (result,) = run_jobs({"a": ["b"], "b": ["c!"]}, ["a"])
    assert isinstance(result, DependencyFailed)
    assert (result.key, result.root) == ("b", "c!")


def test_only_one_of_a_cycle_is_blamed() -> None:
    _, results = run_jobs({"a": ["b"], "b": ["c"], "c": ["a"]}, ["a", "b", "c"])
    kinds = sorted(type(result).__name__ for result in results)
    assert kinds == ["CycleError", "DependencyFailed", "DependencyFailed"]


def test_a_stopping_scheduler_gives_no_slots() -> None:
    async def main() -> None:
        scheduler: Scheduler[str] = Scheduler(lambda job: asyncio.sleep(0, "x"), keep_going=False, pools={"cpu": 1})
        scheduler.stopping = True
        for pool in ("cpu", "unlimited"):
            with pytest.raises(BuildStopped):
                async with scheduler.slot(pool):
                    pass

    asyncio.run(main())


def given(pool: dict[str, int], height: dict[str, int]) -> Scheduler[str]:
    return Scheduler(
        lambda job: asyncio.sleep(0, "x"), keep_going=False, pools=pool, height=lambda key: height.get(str(key), 0)
    )


def test_a_place_goes_to_whoever_has_the_longest_chain_behind_it() -> None:
    async def main() -> list[str]:
        scheduler = given({"cpu": 2}, {"low": 1, "high": 3, "higher": 7})
        order: list[str] = []

        async def hold(key: str) -> None:
            async with scheduler.slot("cpu", key):
                order.append(key)
                await asyncio.sleep(0.01)

        # The first two find a place; of the others the higher go first, equals in the order in which they came.
        await asyncio.gather(*map(hold, ["first", "second", "low", "none", "high", "none too", "higher", "low"]))
        return order

    assert asyncio.run(main()) == ["first", "second", "higher", "high", "low", "low", "none", "none too"]


def test_who_is_cancelled_while_waiting_takes_no_place_with_it() -> None:
    async def main() -> None:
        scheduler = given({"cpu": 1}, {"b": 1})
        order: list[str] = []

        async def hold(key: str) -> None:
            async with scheduler.slot("cpu", key):
                order.append(key)

        async with scheduler.slot("cpu", "holder"):
            waiting = {key: asyncio.create_task(hold(key)) for key in "abc"}
            await asyncio.sleep(0)
            waiting["a"].cancel()
        # The place is b's by now, who has not heard of it yet.
        waiting["b"].cancel()
        await asyncio.gather(*waiting.values(), return_exceptions=True)
        assert order == ["c"]
        async with asyncio.timeout(5), scheduler.slot("cpu"):
            pass

    asyncio.run(main())


def test_a_place_that_comes_when_all_is_stopping_is_given_back() -> None:
    async def main() -> None:
        scheduler = given({"cpu": 1}, {})

        async def hold() -> None:
            async with scheduler.slot("cpu"):
                raise AssertionError

        async with scheduler.slot("cpu"):
            waiting = asyncio.gather(*(hold() for _ in range(3)), return_exceptions=True)
            await asyncio.sleep(0)
            scheduler.stopping = True
        assert {type(each) for each in await waiting} == {BuildStopped}
        scheduler.stopping = False
        async with asyncio.timeout(5), scheduler.slot("cpu"):
            pass

    asyncio.run(main())


def test_one_goes_on_at_a_time_and_what_many_wait_for_before_the_rest() -> None:
    async def main() -> list[str]:
        scheduler = given({}, {"deep": 5, "deeper": 6})
        order: list[str] = []
        turns = 0

        async def go_on(key: str) -> None:
            await scheduler.turn(key)
            order.append(f"{key} {turns}")

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        await asyncio.gather(*map(go_on, ["a", "b", "deep", "c", "deeper"]))
        counting.cancel()
        assert len({each.rpartition(" ")[2] for each in order}) == len(order)
        return [each.partition(" ")[0] for each in order]

    assert asyncio.run(main()) == ["a", "deeper", "deep", "b", "c"]


def test_who_waited_for_a_turn_does_not_go_on_when_all_is_stopping() -> None:
    async def main() -> list[object]:
        scheduler = given({}, {})

        async def go_on(number: int) -> int:
            await scheduler.turn(number)
            scheduler.stopping = number == 2
            return number

        return list(await asyncio.gather(*map(go_on, range(5)), return_exceptions=True))

    found = asyncio.run(main())
    assert found[:3] == [0, 1, 2]
    assert [type(each) for each in found[3:]] == [BuildStopped, BuildStopped]


def test_a_pool_within_another_one_is_no_way_around_it() -> None:
    async def main() -> int:
        scheduler: Scheduler[str] = Scheduler(
            lambda job: asyncio.sleep(0, "x"),
            keep_going=False,
            pools={"cpu": 2, "processor": 3},
            within={"processor": "cpu"},
        )
        now = most = 0

        async def hold(pool: str) -> None:
            nonlocal now, most
            async with scheduler.slot(pool):
                now += 1
                most = max(most, now)
                await asyncio.sleep(0.001)
                now -= 1

        waiting = [asyncio.create_task(hold(pool)) for pool in ("processor", "cpu") * 6]
        await asyncio.sleep(0.002)
        waiting[4].cancel()
        waiting[6].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        async with asyncio.timeout(5), scheduler.slot("processor"), scheduler.slot("cpu"):
            return most

    assert asyncio.run(main()) == 2


def test_a_chain_that_an_expansion_declares_does_not_wait_for_what_nobody_waits_for(
    toys: Callable[..., RuleRunner],
) -> None:
    """However late it was declared: the build ends when the chain does, and the others fit in meanwhile."""
    wide = "".join(f"w{n} w{n}\n" for n in range(40))
    chain = "c0 c0\n" + "".join(f"c{n} //gen:c{n - 1} c{n}\n" for n in range(1, 8))
    files: dict[str, str | bytes] = {"plan.txt": wide + chain}
    files |= {name: name for name in [*(f"w{n}" for n in range(40)), *(f"c{n}" for n in range(8))]}
    runner = toys('[[target]]\nname = "plan"\nrule = "expand"\nplan = "plan.txt"\n', files)
    run = runner.build_ok(jobs=1)
    done = [label for mnemonic, label in run.actions if mnemonic == "Cat"]
    assert len(done) == 48
    assert done.index("//gen:c6") < 10  # nothing waits for the last one


def test_heights_are_those_of_the_longest_chain() -> None:
    assert heights({"a": ["b", "c"], "b": ["c", "b"], "d": ["unknown"]}) == {
        "a": 0,
        "b": 1,
        "c": 2,
        "d": 0,
        "unknown": 1,
    }
    # In a circle nobody is first, and nothing is lost.
    assert heights({"a": ["b"], "b": ["c"], "c": ["b", "d"], "d": []})["a"] == 0


@given_(st.lists(st.lists(st.integers(0, 30), max_size=5), max_size=30))
def test_heights_of_any_graph_without_circles(found: list[list[int]]) -> None:
    needs = {key: [each for each in some if each > key] for key, some in enumerate(found)}
    high = heights(needs)
    for key in high:
        above = [high[other] for other, some in needs.items() if key in some]
        assert high[key] == max([-1, *above]) + 1


def test_cancelling_ends_every_job() -> None:
    async def main() -> None:
        ended: list[object] = []

        async def work(job: Job[str]) -> str:
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(job.key)
            return ""

        scheduler: Scheduler[str] = Scheduler(work, keep_going=False, pools={})
        waiting = [asyncio.ensure_future(scheduler.demand(key)) for key in "ab"]
        await asyncio.sleep(0.01)
        await scheduler.cancel()
        assert sorted(map(str, ended)) == ["a", "b"]
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(main())
