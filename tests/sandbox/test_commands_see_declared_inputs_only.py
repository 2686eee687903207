"""The action behind the rule ``command``: what it sees, what may come out, and how it fails."""

import pytest
from sandbox_harness import both_tiers

from zerorepo.action_key import key_of
from zerorepo.digest import DigestFunction
from zerorepo.errors import ActionFailed
from zerorepo_sandbox import archive
from zerorepo_sandbox.limits import Limits
from zerorepo_sandbox.run_command import TestCommand


def text(context, result, path: str) -> str:
    return context.read(result.outputs[path]).decode()


@both_tiers
def test_inputs_are_at_their_paths_and_outputs_come_back(run_command, context, tier):
    result = run_command(
        "cat $SRCS $DEPS > $OUTS; echo done",
        {"a/in.txt": "one\n", "b/gen.txt": "two\n"},
        srcs=("a/in.txt",),
        deps_paths=("b/gen.txt",),
        outs=("c/d/out.txt",),
    )
    assert text(context, result, "c/d/out.txt") == "one\ntwo\n"
    assert result.output == "done"


def test_nothing_but_the_inputs_is_in_the_work_folder(run_command):
    assert run_command("find . | sort", {"a/b.txt": ""}).output.split() == [".", "./a", "./a/b.txt"]


def test_coreutils_and_python_are_there(run_command):
    assert run_command("awk 'BEGIN { print 40 + 2 }'; python3 -c 'print(6 * 7)'").output.split() == ["42", "42"]


@both_tiers
def test_inputs_cannot_be_changed_and_executables_stay_executable(run_command, context, tier):
    result = run_command(
        "./tool > out && cp tool copy && chmod +x copy",
        {"tool": "#!/bin/sh\necho hello\n"},
        executable=("tool",),
        outs=("out", "copy"),
    )
    assert text(context, result, "out") == "hello\n"
    assert result.executable == ("copy",)


def test_writing_into_an_input_fails(run_command):
    with pytest.raises(ActionFailed, match=r"(?i)permission denied"):
        run_command("echo x > in", {"in": ""})


@both_tiers
def test_a_failing_command_says_its_code_and_its_last_words(run_command, tier):
    with pytest.raises(ActionFailed, match=r"(?s)exited with code 3.*last words"):
        run_command("echo last words; exit 3")


def test_an_unset_variable_or_a_failing_step_ends_the_command(run_command):
    with pytest.raises(ActionFailed, match="NOT_SET"):
        run_command("echo $NOT_SET")
    with pytest.raises(ActionFailed, match="exited with code 1"):
        run_command("false; touch out", outs=("out",))


@both_tiers
def test_an_output_that_was_not_made_is_named(run_command, tier):
    with pytest.raises(ActionFailed, match="did not make its output `b`"):
        run_command("touch a", outs=("a", "b"))


def test_undeclared_outputs_stay_behind(run_command):
    assert set(run_command("touch a extra", outs=("a",)).outputs) == {"a"}


@both_tiers
@pytest.mark.parametrize(
    ("cmd", "what"),
    [
        ("ln -s /etc/passwd out", "a symbolic link"),
        ("ln -s in out", "a symbolic link"),
        ("mkdir out", "a folder"),
        ("mkfifo out", "a pipe"),
        ("echo x > out; ln out other", "a hard link"),
    ],
)
def test_only_plain_files_come_out(run_command, cmd, what, tier):
    outs = ("out", "other") if "other" in cmd else ("out",)
    with pytest.raises(ActionFailed, match=f"refused: `o.*{what}"):
        run_command(cmd, {"in": ""}, outs=outs, limits=Limits(wall_s=10))


def test_a_hard_link_to_the_host_cannot_be_made(run_command):
    with pytest.raises(ActionFailed, match=r"(?i)cross-device|not permitted|read-only|failed to create"):
        run_command("ln /usr/bin/env out", outs=("out",))


def test_an_archive_that_lies_is_refused():
    good = archive.pack({}, lambda digest: b"", (), ("folder",))
    for bad in (b"x" * 1024, good, bytes(512)[:-1] + b"x", good[:300] + b"y" + good[301:]):
        with pytest.raises(archive.Refused):
            archive.unpack(bad, ("out",), 100)


@both_tiers
def test_a_command_that_does_not_end_is_stopped(run_command, tier):
    with pytest.raises(ActionFailed, match=r"did not end within 0\.5 s"):
        run_command("sleep 30", limits=Limits(wall_s=0.5))


def test_memory_output_and_files_are_bounded(run_command):
    with pytest.raises(ActionFailed, match="memory"):
        run_command(
            "python3 -c 'x = bytes(300 << 20); y = bytearray(x); input()' < /dev/zero", limits=Limits(memory_mb=128)
        )
    with pytest.raises(ActionFailed, match="printed more"):
        run_command("yes", limits=Limits(output_kb=64))
    with pytest.raises(ActionFailed, match="more than 1 MB"):
        run_command("head -c 3M /dev/zero > out", outs=("out",), limits=Limits(file_mb=1))


def test_no_network(run_command):
    assert run_command("grep -c : /proc/net/dev").output == "1"  # loopback alone


def test_a_daemon_does_not_outlive_its_command(run_command):
    run_command("setsid sleep 7533 & sleep 0.1")
    assert "7533" not in run_command("true").output


def test_limits_are_not_part_of_a_commands_identity_and_the_tier_is(context):
    from zerorepo_sandbox.run_command import RunCommand

    def key(**fields):
        return key_of(RunCommand(cmd="true", files={}, outs=(), **fields), DigestFunction.XXH3)

    assert key(tier="bubblewrap") == key(tier="bubblewrap", limits=Limits(wall_s=1))
    assert key(tier="bubblewrap") != key(tier="unsafe")


def test_a_command_can_be_a_test(context):
    for cmd, passed in (("true", True), ("echo bad; false", False)):
        run = context.run(TestCommand(cmd=cmd, files={}, tier="bubblewrap").execute(context))
        assert run.report.passed is passed
    assert "bad" in run.report.cases[0].message
