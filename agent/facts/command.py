"""Commands: a program of a rule's, run when it begins and when it ends, which waits for nobody."""

from __future__ import annotations

import logging
import threading

from agent.errors import SensorError
from agent.health import conditions
from agent.sensors.running import Runner, last_line
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.config.rule import Rule
    from agent.health.health import Health

log = logging.getLogger(__name__)


class _Call(Value):
    rule: Rule
    environment: dict[str, str]


class Commands:
    """Runs the commands of rules, each in a thread of its own; any thread may call it.

    Those of one rule run one after the other; of those that wait the newest is run.
    """

    def __init__(self, health: Health) -> None:
        self._health = health
        self._lock = threading.Lock()
        self._running: dict[str, Runner] = {}
        self._waiting: dict[str, _Call] = {}
        self._closed = False

    def start(self, rule: Rule, event: str, value: float | None) -> None:
        """Run the command of `rule`, whose environment says which event it is, and return."""
        environment = {
            "PI_IOT_EVENT": event,
            "PI_IOT_RULE": rule.name,
            "PI_IOT_KIND": rule.kind,
            "PI_IOT_VALUE": "" if value is None else f"{value:.10g}",
        }
        call = _Call(rule, environment)
        with self._lock:
            if self._closed:
                return
            if rule.name in self._running:
                self._waiting[rule.name] = call
                return
            runner = self._running[rule.name] = Runner()
        thread = threading.Thread(
            target=self._run, args=(call, runner), name=f"command of {rule.name}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # no more threads
            self._ended(rule, runner)
            self._tell(rule, SensorError(f"it could not be started: {error}"))

    def close(self) -> None:
        """End what runs, and start nothing any more."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            runners = [*self._running.values()]
        for runner in runners:
            runner.kill()

    def _run(self, first: _Call, runner: Runner) -> None:
        """Run a call, and what has come to wait meanwhile."""
        call: _Call | None = first
        while call:
            rule = call.rule
            try:
                output = runner.run(rule.command, rule.command_timeout_s, call.environment)
            except SensorError as error:
                self._tell(rule, error)
            else:
                log.info(
                    "command of %s: done: %s", rule.name, last_line(output) or "without a word"
                )
                self._health.clear(conditions.COMMAND_FAILING, key=rule.name)
            call = self._ended(rule, runner)

    def _ended(self, rule: Rule, runner: Runner) -> _Call | None:
        """The call of the rule that waits; without one, nothing runs any more."""
        with self._lock:
            call = self._waiting.pop(rule.name, None)
            if not call:
                del self._running[rule.name]
                runner.close()
        return call

    def _tell(self, rule: Rule, error: SensorError) -> None:
        if self._closed:
            return  # it was ended by us
        text = f"{rule.name}: {error.text}"
        self._health.report(conditions.COMMAND_FAILING, text, hint=error.hint, key=rule.name)
