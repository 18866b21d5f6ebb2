"""The demo as a command: a progress bar, sentences, a JSON summary, an exit code."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from devstack.demo.story import Story
from devstack.demo.visitor import DemoFailedError
from devstack.installation import Running, begin_afresh, bring_up, open_stack
from devstack.stack import StackSettings
from plumbing.config import load
from plumbing.process import Stop


def run_demo(*, once: bool, say: Callable[[str], None]) -> int:
    """Tell the story on a fresh installation; with `once`, print a summary and stop.

    Raises:
        StackError: the installation could not be started.
    """
    stop = Stop()
    stop.install()
    settings = load(StackSettings)
    begin_afresh(settings.state)
    begun_s = time.monotonic()
    with open_stack(settings, stop, say) as stack:
        running = bring_up(stack)
        started_s = round(time.monotonic() - begun_s, 2)
        try:
            summary = _tell(running, say)
        except DemoFailedError as failure:
            say(f"The demo failed: {failure}")
            say(f"The services' logs are in {stack.state / 'log'}.")
            return 1
        summary["seconds"]["start"] = started_s
        summary["seconds"]["all"] = round(time.monotonic() - begun_s, 2)
        if once:
            stack.stop()
            print(json.dumps(summary))
            return 0
        _invite(running, say)
        stack.supervisor.watch()
    return 0


def _tell(running: Running, say: Callable[[str], None]) -> dict[str, Any]:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task("starting", total=100)

        def show(what: str, percent: int) -> None:
            bars.update(bar, description=what, completed=percent)

        story = Story(running, show, lambda sentence: bars.console.print(sentence, highlight=False))
        summary = asdict(story.tell())
    summary["log"] = _verified(running)
    say(
        f"The auditor read the log on its own: {summary['log']['decisions']} decisions, "
        f"{summary['log']['voids']} void records, every chain whole."
    )
    return summary


def _verified(running: Running) -> dict[str, Any]:
    """The auditor's own verdict, from its own process."""
    bootstrap = running.endpoints.kafka_bootstrap
    command = (sys.executable, "-m", "devstack", "audit", "verify", "--bootstrap", bootstrap)
    done = subprocess.run((*command, "--json"), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DemoFailedError(f"The auditor found the log wrong (exit code {done.returncode}).")
    verdict: dict[str, Any] = json.loads(done.stdout)
    return {"decisions": verdict["decisions"], "voids": verdict["voids"]}


def _invite(running: Running, say: Callable[[str], None]) -> None:
    say("")
    say("Everything stays up until Ctrl-C:")
    say(f"  pages     {running.places.dashboard_url}/account/privacy")
    say(f"  API       {running.places.api_url}/api/v1/privacy/requests")
    say(f"  sign-in   {running.endpoints.issuer_url}")
    say(f"  letters   {running.endpoints.mail_folder}")
    say(f"  Kafka     {running.endpoints.kafka_bootstrap}")
    say(f"  S3        {running.endpoints.s3_url}")
