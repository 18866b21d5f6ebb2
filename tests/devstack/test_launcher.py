"""The supervisor, with small real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devstack.launcher import PidFiles, PortBook, Process, StackError, Supervisor
from devstack.launcher.pidfiles import started
from tests.support.waiting import until

SLEEPER = "import signal; signal.pause()"
STUBBORN = "import signal; signal.signal(15, signal.SIG_IGN); open('up', 'w'); signal.pause()"
# Starts a child of its own in the same session and writes down its pid.
PARENT = """
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
open("grandchild", "w").write(str(child.pid))
signal.pause()
"""


def python(name: str, code: str, **more: object) -> Process:
    argv = (sys.executable, "-c", textwrap.dedent(code))
    return Process(name=name, argv=argv, stop_within=5, **more)  # type: ignore[arg-type]


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Callable[..., Supervisor]]:
    made: list[Supervisor] = []

    def make(*table: Process, **more: object) -> Supervisor:
        made.append(Supervisor(table, state=tmp_path / "state", **more))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for supervisor in made:
        supervisor.stop()


def is_running(pid: int) -> bool:
    return started(pid) is not None


def test_a_process_starts_after_what_it_needs_is_ready(
    supervised: Callable[..., Supervisor], tmp_path: Path
) -> None:
    ready_file = tmp_path / "ready"
    slow = python("slow", f"open({str(ready_file)!r}, 'w'); {SLEEPER}", ready=ready_file.exists)
    eager = python("eager", SLEEPER, needs=("slow",), prepare=lambda: order.append("eager"))
    order: list[str] = []

    def heard(sentence: str) -> None:
        order.append(sentence)

    supervised(eager, slow, say=heard).start()
    assert order == ["slow is ready.", "eager", "eager is ready."]


def test_naming_one_starts_it_and_its_needs_and_nothing_else(
    supervised: Callable[..., Supervisor],
) -> None:
    table = (
        python("broker", SLEEPER),
        python("service", SLEEPER, needs=("broker",)),
        python("other", SLEEPER),
    )
    supervisor = supervised(*table)
    supervisor.start("service")
    assert supervisor.children.names() == ("broker", "service")


def test_starting_again_leaves_alone_what_runs(supervised: Callable[..., Supervisor]) -> None:
    supervisor = supervised(python("one", SLEEPER))
    supervisor.start()
    pid = supervisor.children.pid("one")
    supervisor.start()
    assert supervisor.children.pid("one") == pid


def test_a_service_is_ready_once_its_log_says_so_in_this_run(
    supervised: Callable[..., Supervisor], tmp_path: Path
) -> None:
    go = tmp_path / "go"
    code = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    speaker = python(
        "speaker", code + f"print('READY', flush=True)\n{SLEEPER}", ready_mark=b"READY", patience=1
    )
    supervisor = supervised(speaker)
    go.touch()
    supervisor.start()
    go.unlink()
    # The word of the run before must not count.
    with pytest.raises(StackError) as told:
        supervisor.restart("speaker")
    assert told.value.code == "not_ready"


def test_the_supervisor_dies_loudly_when_a_child_dies(
    supervised: Callable[..., Supervisor],
) -> None:
    supervisor = supervised(python("steady", SLEEPER), python("fragile", SLEEPER))
    supervisor.start()
    steady = supervisor.children.pid("steady")
    os.kill(supervisor.children.pid("fragile"), signal.SIGKILL)
    with pytest.raises(StackError) as told:
        supervisor.watch()
    assert told.value.code == "child_died"
    assert told.value.sentence == "fragile ended by itself (killed by SIGKILL)."
    assert "fragile.log" in told.value.next_step
    assert not is_running(steady)


def test_a_child_that_ends_before_it_is_ready_stops_the_start_and_the_others(
    supervised: Callable[..., Supervisor], tmp_path: Path
) -> None:
    failing = python("failing", "raise SystemExit(3)", needs=("steady",), ready=lambda: False)
    supervisor = supervised(python("steady", SLEEPER), failing)
    with pytest.raises(StackError) as told:
        supervisor.start()
    assert told.value.sentence == "failing ended by itself (exit code 3)."
    assert not PidFiles(tmp_path / "state" / "run").names()


def test_a_failed_start_of_more_leaves_what_ran_before(
    supervised: Callable[..., Supervisor],
) -> None:
    supervisor = supervised(python("steady", SLEEPER))
    supervisor.start()
    supervisor.add([python("failing", "raise SystemExit(3)", ready=lambda: False)])
    with pytest.raises(StackError):
        supervisor.start()
    assert supervisor.children.names() == ("steady",)
    supervisor.children.check()


def test_a_failed_preparation_is_the_error_of_the_start(
    supervised: Callable[..., Supervisor],
) -> None:
    def refuse() -> None:
        raise StackError("no_disk", "The disk is full.", "Free some space.")

    with pytest.raises(StackError) as told:
        supervised(python("one", SLEEPER, prepare=refuse)).start()
    assert told.value.code == "no_disk"


def test_a_child_that_is_never_ready_is_given_up(supervised: Callable[..., Supervisor]) -> None:
    supervisor = supervised(python("mute", SLEEPER, ready=lambda: False, patience=0.2))
    with pytest.raises(StackError) as told:
        supervisor.start()
    assert told.value.code == "not_ready"


def test_a_start_can_be_interrupted_and_leaves_nothing(
    supervised: Callable[..., Supervisor], tmp_path: Path
) -> None:
    stop = threading.Event()

    def interrupt() -> bool:
        stop.set()
        return False

    with pytest.raises(StackError) as told:
        supervised(python("one", SLEEPER, ready=interrupt), stop=stop).start()
    assert told.value.code == "interrupted"
    assert not PidFiles(tmp_path / "state" / "run").names()


def test_stopping_ends_children_and_grandchildren(
    supervised: Callable[..., Supervisor], tmp_path: Path
) -> None:
    note = tmp_path / "grandchild"
    supervisor = supervised(
        python("parent", PARENT, folder=tmp_path, ready=lambda: note.exists() and note.read_text())
    )
    supervisor.start()
    child, grandchild = supervisor.children.pid("parent"), int(note.read_text())
    supervisor.stop()
    assert not is_running(child)
    until(lambda: not is_running(grandchild), 5)


def test_dependents_stop_before_what_they_need(
    supervised: Callable[..., Supervisor], tmp_path: Path
) -> None:
    note = "import signal, sys\nsignal.signal(15, lambda *_: (print({0!r}, file=open('ends', 'a')), sys.exit()))\nopen({0!r}, 'w')\nsignal.pause()"
    base = python("base", note.format("base"), folder=tmp_path, ready=(tmp_path / "base").exists)
    top = python(
        "top",
        note.format("top"),
        folder=tmp_path,
        needs=("base",),
        ready=(tmp_path / "top").exists,
    )
    supervisor = supervised(base, top)
    supervisor.start()
    supervisor.stop()
    assert (tmp_path / "ends").read_text().split() == ["top", "base"]


def test_a_child_that_ignores_the_signal_is_killed(
    supervised: Callable[..., Supervisor], tmp_path: Path
) -> None:
    heard: list[str] = []
    stubborn = Process(
        name="stubborn",
        argv=(sys.executable, "-c", STUBBORN),
        folder=tmp_path,
        ready=(tmp_path / "up").exists,
        stop_within=0.2,
    )
    supervisor = supervised(stubborn, say=heard.append)
    supervisor.start()
    pid = supervisor.children.pid("stubborn")
    supervisor.stop()
    assert not is_running(pid)
    assert heard[-1] == "stubborn did not stop within 0.2 s and was killed."


def test_one_process_can_be_restarted_alone_even_after_a_kill(
    supervised: Callable[..., Supervisor],
) -> None:
    supervisor = supervised(python("kept", SLEEPER), python("moved", SLEEPER))
    supervisor.start()
    kept, moved = (supervisor.children.pid(name) for name in ("kept", "moved"))
    supervisor.kill("moved")
    supervisor.restart("moved")
    assert supervisor.children.pid("kept") == kept
    assert supervisor.children.pid("moved") != moved
    supervisor.children.check()


def test_a_port_in_use_is_said_before_anything_starts_there(
    supervised: Callable[..., Supervisor],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StackError) as told:
            supervised(python("one", SLEEPER, ports=(port,))).start()
    assert told.value.code == "port_in_use"
    assert str(port) in told.value.sentence
    assert "one" in told.value.sentence


def test_a_stale_pid_file_is_no_hindrance_and_its_pids_new_bearer_is_not_hurt(
    supervised: Callable[..., Supervisor], tmp_path: Path
) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", SLEEPER], start_new_session=True)
    run = tmp_path / "state" / "run"
    run.mkdir(parents=True)
    (run / "one.pid").write_text(f"{bystander.pid} 15 another-start-time\n")
    assert PidFiles(run).stale() == ("one",)
    try:
        supervised(python("one", SLEEPER)).start()
        assert is_running(bystander.pid)
        assert PidFiles(run).stale() == ()
    finally:
        bystander.kill()
        bystander.wait()


def test_what_a_killed_run_left_alive_is_stopped_by_the_next_start(
    supervised: Callable[..., Supervisor], tmp_path: Path
) -> None:
    leftover = subprocess.Popen([sys.executable, "-c", SLEEPER], start_new_session=True)
    run = tmp_path / "state" / "run"
    run.mkdir(parents=True)
    PidFiles(run).write("old", leftover.pid)
    supervised(python("one", SLEEPER)).start()
    assert leftover.wait(5) == -signal.SIGTERM


def test_a_folder_has_one_supervisor_at_a_time(supervised: Callable[..., Supervisor]) -> None:
    supervised(python("one", SLEEPER)).start()
    with pytest.raises(StackError) as told:
        supervised(python("one", SLEEPER)).start()
    assert told.value.code == "already_running"
    assert "habeas down" in told.value.next_step


def supervisor_elsewhere(folder: Path, table: str) -> tuple[subprocess.Popen[bytes], list[int]]:
    """A supervisor in a process of its own, and the pids that its children wrote down."""
    script = f"""
    import sys
    from pathlib import Path
    from devstack.launcher import Process, Supervisor
    def process(name, code, ready):
        return Process(name=name, argv=(sys.executable, "-c", code), folder=Path.cwd(),
                       ready=lambda: Path(ready).exists() and Path(ready).read_text() != "")
    supervisor = Supervisor([{table}], state=Path("state"))
    supervisor.start()
    Path("all-up").touch()
    supervisor.watch()
    """
    launched = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=folder,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    until((folder / "all-up").exists, 20)
    pids = [running.pid for running in PidFiles(folder / "state" / "run").alive().values()]
    return launched, pids


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_children_and_grandchildren_do_not_outlive_a_killed_supervisor(
    how: signal.Signals, tmp_path: Path
) -> None:
    row = f"process('parent', {PARENT!r}, 'grandchild')"
    launched, pids = supervisor_elsewhere(tmp_path, row)
    pids.append(int((tmp_path / "grandchild").read_text()))
    assert len(pids) == 3
    launched.send_signal(how)
    launched.wait()
    until(lambda: not any(is_running(pid) for pid in pids), 4)


def test_after_a_killed_supervisor_children_may_still_end_properly_and_the_stubborn_are_killed(
    tmp_path: Path,
) -> None:
    polite = """
import signal, sys
def end(*_):
    open("goodbye", "w").close()
    sys.exit()
signal.signal(signal.SIGTERM, end)
open("polite", "w").write("up")
signal.pause()
"""
    stubborn = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("stubborn", "w").write("up")
signal.pause()
"""
    rows = f"process('a', {polite!r}, 'polite'), process('b', {stubborn!r}, 'stubborn')"
    launched, pids = supervisor_elsewhere(tmp_path, rows)
    launched.kill()
    launched.wait()
    until(lambda: not any(is_running(pid) for pid in pids), 15)
    assert (tmp_path / "goodbye").exists()


def test_a_killed_guard_is_noticed(supervised: Callable[..., Supervisor], tmp_path: Path) -> None:
    supervisor = supervised(python("one", SLEEPER))
    supervisor.start()
    supervisor.children._guard.kill()
    with pytest.raises(StackError) as told:
        supervisor.watch()
    assert told.value.code == "guard_died"


def test_mistakes_in_the_table_are_named() -> None:
    circle = (python("a", "", needs=("b",)), python("b", "", needs=("a",)))
    with pytest.raises(StackError, match="need each other"):
        Supervisor(circle, state=Path("unused"))
    with pytest.raises(StackError, match="a needs c, which no row starts"):
        Supervisor([python("a", "", needs=("c",))], state=Path("unused"))
    with pytest.raises(StackError, match="twice"):
        Supervisor([python("a", ""), python("a", "")], state=Path("unused"))


def test_a_missing_program_is_told_with_the_command_that_installs_it(
    supervised: Callable[..., Supervisor],
) -> None:
    with pytest.raises(StackError) as told:
        supervised(Process(name="ghost", argv=("/nowhere/ghost",))).start()
    assert told.value.code == "cannot_start"
    assert "make setup" in told.value.next_step


def test_ports_are_chosen_once_and_kept_below_the_kernels_own_range(tmp_path: Path) -> None:
    book = PortBook(tmp_path / "ports.json")
    chosen = {part: book.port(part) for part in ("a", "b", "c")}
    assert PortBook(tmp_path / "ports.json").all() == chosen
    assert len(set(chosen.values())) == 3
    assert all(20_000 <= port < 32_768 for port in chosen.values())
