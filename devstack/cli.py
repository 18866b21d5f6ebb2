"""The command `habeas`: the embedded stack, the demo, and the auditor's commands beside them."""

import json
import sys
from typing import Annotated

import typer

from auditor.cli import app as audit
from devstack import doctor as examination
from devstack.demo.cli import run_demo
from devstack.installation import bring_up, open_stack, topic_specs
from devstack.launcher import PidFiles
from devstack.launcher.errors import StackError
from devstack.stack import StackSettings, down
from plumbing.config import load
from plumbing.process import Stop

Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
app = typer.Typer(
    help="Carries out people's rights over their own data, on a log that anyone can verify.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
app.add_typer(audit, name="audit")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


@app.command()
def up() -> None:
    """Start the stack and every service, and stay until Ctrl-C."""
    stop = Stop()
    stop.install()
    with open_stack(load(StackSettings), stop, _say) as stack:
        running = bring_up(stack)
        _say(f"habeas is up: {running.places.api_url}  (Ctrl-C stops everything)")
        stack.supervisor.watch()


@app.command(name="down")
def stop_everything() -> None:
    """Stop what `habeas up` or `habeas demo` started from this folder."""
    stopped = down(load(StackSettings).state)
    _say("Stopped: " + ", ".join(stopped) if stopped else "Nothing was running.")


@app.command()
def status(
    *,
    as_json: Json = False,
) -> None:
    """Say what runs; exits with 7 if nothing does."""
    pids = PidFiles(load(StackSettings).state.absolute() / "run")
    alive = {name: running.pid for name, running in sorted(pids.alive().items())}
    if as_json:
        print(json.dumps({"running": alive, "stale": list(pids.stale())}))
    else:
        for name, pid in alive.items():
            print(f"{name:20} running   process {pid}")
        for name in pids.stale():
            print(f"{name:20} ended     its pid file is stale: habeas down")
    if not alive:
        _say("Nothing is running. Start it: habeas up")
        raise typer.Exit(7)


@app.command()
def doctor(
    *,
    as_json: Json = False,
) -> None:
    """Say what is missing, and the command that mends it."""
    arguments = ["--json"] if as_json else []
    topics = [spec.name for spec in topic_specs()]
    raise typer.Exit(examination.main(arguments, expected_topics=topics))


@app.command()
def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="Print a JSON summary and stop.")] = False,
) -> None:
    """Do the main job end to end on invented people: an export and two erasures."""
    raise typer.Exit(run_demo(once=once, say=_say))


def main() -> None:
    """Run the command; a failure of the stack is a sentence and a next step, not a traceback."""
    try:
        app()
    except StackError as failure:
        _say(str(failure))
        sys.exit(1)
