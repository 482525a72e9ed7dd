"""The defects that ``make mutants`` plants: what each is, where, the code that it replaces and what
replaces it; and the tests that must notice, where those are not the core's."""

from __future__ import annotations

from dataclasses import dataclass

CORE_TESTS = ("tests/core",)
VIRTUAL = ("tests/runtime/test_virtual.py",)
RUNNING = (
    "tests/worker/test_heartbeats.py",
    "tests/worker/test_answers.py",
    "tests/worker/test_polls_and_stops.py",
)
OUTCOMES = ("tests/worker/test_outcomes.py",)
HARD = ("tests/worker/test_hard_services.py",)


@dataclass(frozen=True)
class Mutant:
    """One defect."""

    name: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...] = CORE_TESTS


MACHINE = "swf_worker/core/execution.py"
MESSAGES = "swf_worker/core/messages.py"
LIFECYCLE = "swf_worker/core/lifecycle.py"
BEATS = "swf_worker/core/heartbeats.py"
POLLS = "swf_worker/core/pollers.py"
VERDICTS = "swf_worker/core/verdicts.py"
ENGINE = "swf_worker/runtime/engine.py"
TASK_RUN = "swf_worker/runtime/tasks/task_run.py"
INVOCATION = "swf_worker/runtime/tasks/invocation.py"
POLLER = "swf_worker/runtime/polling/poller.py"
OPEN_TASKS = "swf_worker/runtime/polling/open_tasks.py"
HEARTBEATER = "swf_worker/runtime/heartbeats/heartbeater.py"
DRIVER = "swf_worker/runtime/stopping/lifecycle_driver.py"
SIGNALS = "swf_worker/runtime/stopping/signals.py"
THREAD_POOL = "swf_worker/runtime/threads/thread_pool.py"
SCHEDULER = "swf_worker/runtime/threads/scheduler.py"
LIMITED = "swf_worker/runtime/runners/limited.py"
PROCESS = "swf_worker/runtime/runners/process.py"
CHILD = "swf_worker/runtime/children/child.py"
CHILD_PROCESS = "swf_worker/runtime/children/child_process.py"
CHILD_TASK = "swf_worker/runtime/runners/child_task.py"
GATEWAY = "swf_worker/service/gateway.py"
FAULTS = "swf_worker/service/faults.py"

CORE = (
    Mutant(
        "Canceled without a request",
        MACHINE,
        "    if state.requested:\n        return Canceled(details)",
        "    if state.causes:\n        return Canceled(details)",
    ),
    Mutant(
        "an answer after the task closed",
        MACHINE,
        "            return isinstance(event, (*HANDLER_ENDS, HandlersTimeOver, GivenUp))",
        "            return isinstance(event, (HandlersTimeOver, GivenUp))",
    ),
    Mutant(
        "a closed task is answered at the stop's end",
        MACHINE,
        "            return isinstance(event, (*HANDLER_ENDS, HandlersTimeOver, GivenUp))",
        "            return isinstance(event, HANDLER_ENDS)",
    ),
    Mutant(
        "an answer is retried after the task closed",
        MACHINE,
        "            return isinstance(event, (AnswerMissed, AnswerRefused))",
        "            return isinstance(event, AnswerRefused)",
    ),
    Mutant(
        "an answer waits on though its task is closed",
        MACHINE,
        "        case Phase.WAITING:\n            return True",
        "        case Phase.WAITING:\n            return False",
    ),
    Mutant(
        "a cancel request beats a finished result",
        MACHINE,
        "        case HandlerReturned(outcome) | HandlerFailed(outcome):",
        "        case HandlerReturned(outcome) if state.requested:\n"
        "            return _decide(state, Canceled())\n"
        "        case HandlerReturned(outcome) | HandlerFailed(outcome):",
    ),
    Mutant(
        "a different answer after an ambiguous attempt",
        MACHINE,
        "not isinstance(state.answer, Completed) or state.ambiguous",
        "not isinstance(state.answer, Completed)",
    ),
    Mutant(
        "ambiguity is forgotten",
        MACHINE,
        "ambiguous=state.ambiguous or ambiguous",
        "ambiguous=ambiguous",
    ),
    Mutant(
        "a later flag thaws the decision",
        MACHINE,
        "    return state, _NOTHING  # frozen: no later flag changes the decision",
        "    if event == StopCause(CancelReason.REQUESTED):\n"
        "        return replace(state, answer=Canceled()), _NOTHING\n"
        "    return state, _NOTHING",
    ),
    Mutant(
        "a closed task ends an answer in flight",
        MACHINE,
        "        case StopCause(CancelReason.TASK_CLOSED):\n            return _stop_beats(state)",
        "        case StopCause(CancelReason.TASK_CLOSED):\n"
        "            return _end(state, Disposition.LATE)",
    ),
    Mutant(
        "a cancel request kills unasked",
        MACHINE,
        "    return reason is not CancelReason.REQUESTED or policy.cancel_kills",
        "    return True",
    ),
    Mutant(
        "a thread is answered at its deadline",
        MACHINE,
        "    state, silence = _stop_beats(state)\n"
        "    return state, (*asked, *silence, ReportStuck())",
        "    return _decide(state, _failure(state, CancelReason.TIMED_OUT))",
    ),
    Mutant(
        "beats go on after the end",
        MACHINE,
        "    silence = (StopBeats(),) if state.beating else _NOTHING\n",
        "    silence = _NOTHING\n",
    ),
    Mutant(
        "beats stop when the answer is decided",
        MACHINE,
        "    return replace(state, phase=Phase.SENDING, answer=outcome), (Send(outcome),)",
        "    return replace(state, phase=Phase.SENDING, answer=outcome, beating=False), "
        "(StopBeats(), Send(outcome))",
    ),
    Mutant(
        "an accepted answer is sent again",
        MACHINE,
        "case Redelivered() if state.answer and state.disposition is not Disposition.ACCEPTED:",
        "case Redelivered() if state.answer:",
    ),
    Mutant(
        "each cause asks again and again",
        MACHINE,
        "    if reason in state.causes:\n        return state, _NOTHING\n",
        "",
    ),
    Mutant(
        "shutdown is reported as canceled",
        MACHINE,
        "        return _failure(state, state.first_own_cause)",
        "        return Canceled(details)",
    ),
    Mutant(
        "the last cause is told, not the first",
        MACHINE,
        "    if reason in _FAILURE_OF and state.first_own_cause is None:",
        "    if reason in _FAILURE_OF:",
    ),
    Mutant(
        "a retry changes nothing and is lost",
        MACHINE,
        "            return replace(state, phase=Phase.SENDING), (Send(state.answer),)",
        "            return replace(state, phase=Phase.SENDING), _NOTHING",
    ),
    Mutant(
        "at the stop's end an answer still waits for its backoff",
        MACHINE,
        "        case RetryDue() | HandlersTimeOver():",
        "        case RetryDue():",
    ),
    Mutant(
        "an exit answers nothing",
        MACHINE,
        "    return _decide(state, _failure(state, CancelReason.WORKER_SHUTDOWN))\n",
        "    return state, _NOTHING\n",
    ),
    Mutant(
        "an embedded stop answers for a thread that works on",
        MACHINE,
        "    if unfinished is Unfinished.KILLED_OR_LEFT:\n"
        "        return _end(state, Disposition.ABANDONED)\n",
        "",
    ),
    Mutant(
        "what is to be abandoned is answered",
        MACHINE,
        "def _time_over(state: Execution, unfinished: Unfinished) -> Step:\n"
        "    if unfinished is Unfinished.LEFT:",
        "def _time_over(state: Execution, unfinished: Unfinished) -> Step:\n    if False:",
    ),
    Mutant(
        "an embedded stop counts as the process's end",
        MESSAGES,
        "        return cls.ANSWERED if process_exits else cls.KILLED_OR_LEFT",
        "        return cls.ANSWERED",
    ),
    Mutant(
        "open polls are cut at the drain's end",
        LIFECYCLE,
        "    if state.timer_over and state.polls == 0:",
        "    if state.timer_over:",
    ),
    Mutant(
        "a stop ends with tasks still open",
        LIFECYCLE,
        "    if state.polls == 0 and state.tasks == 0:",
        "    if state.polls == 0:",
    ),
    Mutant(
        "a stop believes counts from before polling was closed",
        LIFECYCLE,
        "    if not state.counted or state.phase is Phase.STOPPED:",
        "    if state.phase is Phase.STOPPED:",
    ),
    Mutant(
        "a second signal runs what polls still bring",
        LIFECYCLE,
        "        return self.phase in STOPPING and (self.stops >= 2 or self.phase is not Phase.DRAINING)",
        "        return False",
    ),
    Mutant(
        "a third signal is ignored",
        LIFECYCLE,
        "    if stopped.stops >= 3:",
        "    if stopped.stops >= 99:",
    ),
    Mutant(
        "stop() called twice ends the drain",
        LIFECYCLE,
        "            return (state, ()) if once and state.stopping else _stop(state)",
        "            return _stop(state)",
    ),
    Mutant(
        "polls and tasks exceed the slots",
        POLLS,
        "slots - open_polls - running",
        "slots - open_polls",
    ),
    Mutant(
        "empty polls that come at once are polled without a rest",
        POLLS,
        "        return max(0.0, 1 / EMPTY_POLLS_PER_SECOND - lasted)",
        "        return 0.0",
    ),
    Mutant(
        "a missed beat waits for its backoff, however long",
        BEATS,
        "        wait = min(wait, max(self.interval / 3, 0.05))\n",
        "",
    ),
    Mutant(
        "beats that nobody was heard of hold a lease for ever",
        BEATS,
        "        return max(heard, min(unheard, heard + lease)) + lease",
        "        return max(heard, unheard) + lease",
    ),
    Mutant(
        "an unknown domain counts as a closed task",
        VERDICTS,
        "        return not _domain_is_gone(error)",
        "        return True",
    ),
)

SHELL = (
    Mutant(
        "a task's beats are not stopped",
        TASK_RUN,
        "                self._services.heartbeater.end(self._beats)",
        "                pass",
        RUNNING,
    ),
    Mutant(
        "a task has no beats",
        TASK_RUN,
        "        with self._lock:\n            self._beat()\n            if self._deadline is not None:",
        "        with self._lock:\n            if self._deadline is not None:",
        RUNNING,
    ),
    Mutant(
        "a slot is not freed",
        TASK_RUN,
        "                self._deferred.append(self._services.free_slot)",
        "                pass",
        RUNNING,
    ),
    Mutant(
        "a slot is freed twice",
        TASK_RUN,
        "            if over and not self._slot_freed:",
        "            if over:",
        VIRTUAL,
    ),
    Mutant(
        "an answer is sent from two threads",
        TASK_RUN,
        "        if job is not None and not inline:\n"
        "            self._services.answers.submit(job)\n"
        "            return None\n",
        "        if job is not None:\n            self._services.answers.submit(job)\n",
        RUNNING,
    ),
    Mutant(
        "a deadline is not watched",
        TASK_RUN,
        "                self._arm(self._deadline, messages.DeadlineReached())",
        "                pass",
        RUNNING,
    ),
    Mutant(
        "a stop asks handlers at once",
        ENGINE,
        "                self.parts.poller.close()\n",
        "                self.parts.poller.close()\n"
        "                for run in self._open_tasks.open_runs():\n"
        "                    run.stop_cause(CancelReason.WORKER_SHUTDOWN)\n",
        RUNNING,
    ),
    Mutant(
        "a stop does not wait for open polls",
        ENGINE,
        "        return self.parts.poller.open_polls, len(self._open_tasks)",
        "        return 0, len(self._open_tasks)",
        RUNNING,
    ),
    Mutant(
        "what comes when the drain is over is run",
        ENGINE,
        "        if served is None or worker.fails_new_tasks:",
        "        if served is None:",
        RUNNING,
    ),
    Mutant(
        "a token that comes twice runs twice",
        OPEN_TASKS,
        "            if token in self._runs or token in self._ended or token in self._taking:\n"
        "                return False\n",
        "",
        RUNNING,
    ),
    Mutant(
        "a poll is opened though no slot is free",
        POLLER,
        "                now, self.open_polls + self._resting, self.running, self.slots",
        "                now, self.open_polls + self._resting, 0, self.slots",
        VIRTUAL,
    ),
    Mutant(
        "a failed poll is followed by the next at once",
        POLLER,
        "        self.plan.failed(moment, wait, began, shed=verdicts.sheds_pollers(error))",
        "        self.plan.failed(moment, 0.0, began, shed=verdicts.sheds_pollers(error))",
        RUNNING,
    ),
    Mutant(
        "a cancel request is not passed on",
        HEARTBEATER,
        "            beats.owner.stop_cause(CancelReason.REQUESTED)",
        "            pass",
        OUTCOMES,
    ),
    Mutant(
        "a closed task is not passed on",
        HEARTBEATER,
        "            beats.owner.stop_cause(CancelReason.TASK_CLOSED)",
        "            pass",
        RUNNING,
    ),
    Mutant(
        "a missed beat is the last one",
        HEARTBEATER,
        "            planned = beats.plan.miss(self.moved_at, left_at, wait, unheard=unheard)\n"
        "        self._arm(beats)\n",
        "            planned = beats.plan.miss(self.moved_at, left_at, wait, unheard=unheard)\n",
        ("tests/faults/test_network.py", *RUNNING),
    ),
    Mutant(
        "a beat that hangs keeps its sender",
        HEARTBEATER,
        "        if self.senders.are_wanted() or not self._has_second(attempt, moment):",
        "        if not self._has_second(attempt, moment):",
        ("tests/faults/test_network.py",),
    ),
    Mutant(
        "a stop that is asked for during the start is forgotten",
        DRIVER,
        "        self._stop_wanted = True  # while the start is under way, its end sees this\n",
        "",
        HARD,
    ),
    Mutant(
        "a handler's exception that a wrapper swallows is a success",
        INVOCATION,
        "            raise self._raised  # a wrapper swallowed it: a handler that raised has failed",
        "            pass",
        OUTCOMES,
    ),
    Mutant(
        "anybody's CancelledError counts as ours",
        INVOCATION,
        "        if isinstance(error, asyncio.CancelledError) and CANCEL_MARK in error.args:",
        "        if isinstance(error, asyncio.CancelledError):",
        OUTCOMES,
    ),
    Mutant(
        "the same signal counts twice at once",
        SIGNALS,
        "        if moment < before + SAME_SIGNAL:\n            return None\n",
        "",
        ("tests/runtime/test_signals.py",),
    ),
    Mutant(
        "a pool starts a thread more for each job",
        THREAD_POOL,
        "        if self._idle >= len(self._jobs) or len(self._threads) >= self._most:",
        "        if self._idle >= len(self._jobs):",
        ("tests/runtime/test_threads.py",),
    ),
    Mutant(
        "a canceled timer fires",
        SCHEDULER,
        "            self[FUNCTION] = None\n            scheduler.canceled += 1",
        "            scheduler.canceled += 1",
        ("tests/runtime/test_threads.py",),
    ),
    Mutant(
        "what waits for max_concurrent is never started",
        LIMITED,
        "            following.launch(self._runner)",
        "            pass",
        ("tests/worker/test_limits.py",),
    ),
    Mutant(
        "a process that is to be killed lives on",
        PROCESS,
        "            self._pool.terminate(child_task.child, child_task, wire.Terminate())",
        "            pass",
        ("tests/worker/test_process_ends.py",),
    ),
    Mutant(
        "a task whose handler began runs again in another process",
        CHILD_TASK,
        "                self.began = True",
        "                pass",
        ("tests/worker/test_process_deaths.py",),
    ),
    Mutant(
        "a task that no process survives to begin goes round for ever",
        PROCESS,
        "        if died == _MOST_UNBEGUN:",
        "        if died < 0:",
        ("tests/worker/test_process_deaths.py",),
    ),
    Mutant(
        "a SIGTERM to the whole group ends a handler's process",
        CHILD,
        "        if self._announced and not self._raised:",
        "        if not self._raised:",
        ("tests/worker/test_process_ends.py", "tests/cli/test_run.py"),
    ),
    Mutant(
        "a child that hangs in its start is waited for",
        CHILD_PROCESS,
        "        self.ends_at = None\n        if self.phase is ChildPhase.LOADING:",
        "        if self.phase is ChildPhase.LOADING:\n            return False\n"
        "        self.ends_at = None\n        if self.phase is ChildPhase.LOADING:",
        ("tests/runtime/test_child_process.py",),
    ),
    Mutant(
        'the text "true" counts as a cancel request',
        GATEWAY,
        '        return answer.get("cancelRequested") is True',
        '        return bool(answer.get("cancelRequested"))',
        ("tests/service/test_gateway.py", "tests/service/test_attempts.py"),
    ),
    Mutant(
        "a 5xx counts as not carried out",
        FAULTS,
        "        return ServiceUnavailableError(operation, code, message, request_id, ambiguous=True)",
        "        return ServiceUnavailableError(operation, code, message, request_id)",
        ("tests/service/test_gateway.py", "tests/service/test_attempts.py"),
    ),
)

CODED = "swf_worker/coded.py"
CHAIN = "swf_worker/codecs/chain.py"
TEXT = "swf_worker/text.py"
BINDING = "swf_worker/payloads/binding.py"
READING = "swf_worker/payloads/reading.py"
CODECS_ON_THE_WIRE = ("tests/codecs/test_chain.py", "tests/codecs/test_on_the_wire.py")
PAYLOAD_TESTS = ("tests/payloads", "tests/test_text_and_failures.py")

PAYLOADS = (
    Mutant(
        "a result that the codecs made too long goes out",
        CODED,
        "    if coded is not None and (units := utf16_units(coded)) > MAX_PAYLOAD:",
        "    if coded is not None and (units := utf16_units(coded)) > 2 * MAX_PAYLOAD:",
        CODECS_ON_THE_WIRE,
    ),
    Mutant(
        "codecs are undone in the order in which they wrote",
        CHAIN,
        "    for codec in reversed(codecs):",
        "    for codec in codecs:",
        CODECS_ON_THE_WIRE,
    ),
    Mutant(
        "what a codec raised is told with its words",
        CHAIN,
        '        said = f"raised {type(error).__name__}{_place(error)}"',
        '        said = f"raised {error!r}{_place(error)}"',
        CODECS_ON_THE_WIRE,
    ),
    Mutant(
        "an emoji counts one",
        TEXT,
        '    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2',
        "    return len(text)",
        PAYLOAD_TESTS,
    ),
    Mutant(
        "half a character goes out",
        TEXT,
        '    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")',
        "    return text",
        PAYLOAD_TESTS,
    ),
    Mutant(
        "an argument that is given twice is taken once",
        BINDING,
        "        if name in taken:",
        "        if False:",
        PAYLOAD_TESTS,
    ),
    Mutant(
        "a parameter without a value is left to Python",
        BINDING,
        "        if each.required and each.name not in taken and each.name not in named:",
        "        if False:",
        PAYLOAD_TESTS,
    ),
    Mutant(
        "a text that is no JSON is quoted",
        READING,
        "            mismatch = not_json(error)",
        "            mismatch = NotJson(repr(text))",
        PAYLOAD_TESTS,
    ),
)

KEEPER = "swf_worker/runtime/journal/keeper.py"
ADOPTION = "swf_worker/runtime/journal/adoption.py"
BOOK = "swf_worker/runtime/journal/book.py"
AT_THE_PATH = "swf_worker/runtime/journal/path.py"
KEPT = "swf_worker/core/kept_answers.py"
KEEPING = ("tests/journal/test_keeper.py",)
HANGING = ("tests/journal/test_hanging_disk.py",)
KILLS = ("tests/journal/test_kills.py",)

JOURNAL = (
    Mutant(
        "an answer is sent before it lies in the journal",
        KEEPER,
        "            if not self._book.sending(task, outcome) or self._file is None:",
        "            if self._book.sending(task, outcome) or self._file is None:",
        (*KEEPING, *KILLS),
    ),
    Mutant(
        "a thread that comes back from a disk that hung sends its answer as well",
        KEEPER,
        "            if is_lost:\n                self._came_back(file)\n                return False",
        "            if is_lost:\n                self._came_back(file)\n                return True",
        HANGING,
    ),
    Mutant(
        "an answer whose write hangs is sent by nobody",
        KEEPER,
        "        if turn.instead is not None:",
        "        if False:",
        HANGING,
    ),
    Mutant(
        "an accepted answer stays in the journal",
        BOOK,
        "        if task.task_token in self._live:",
        "        if False:",
        (*KEEPING, *KILLS),
    ),
    Mutant(
        "a journal that is opened anew lacks what was decided meanwhile",
        KEEPER,
        "            file.replace(self._owner.name, entries.values(), spared)",
        "            file.replace(self._owner.name, (), spared)",
        KEEPING,
    ),
    Mutant(
        "answers of a worker that lives are taken up",
        ADOPTION,
        "        return not self._alive[entry.owner]",
        "        return True",
        KEEPING,
    ),
    Mutant(
        "answers for another SWF are taken up",
        ADOPTION,
        "        ours = [each for each in dead if (each.place.service, each.place.domain) == self._here]",
        "        ours = dead",
        KEEPING,
    ),
    Mutant(
        "what a dead worker was sending counts as not sent",
        ADOPTION,
        "    return Attempted.AMBIGUOUS if sending else entry.attempted",
        "    return entry.attempted",
        (*KEEPING, *KILLS),
    ),
    Mutant(
        "old answers are kept for ever",
        ADOPTION,
        "            is_old = _EARLIEST < each.kept_at < moment - self._keep",
        "            is_old = False",
        KEEPING,
    ),
    Mutant(
        "a clock that was not set makes answers old",
        ADOPTION,
        "            is_old = _EARLIEST < each.kept_at < moment - self._keep",
        "            is_old = each.kept_at < moment - self._keep",
        KEEPING,
    ),
    Mutant(
        "an adopted answer that may be carried out can be answered differently",
        KEPT,
        "        ambiguous=ambiguous,",
        "        ambiguous=False,",
        (*CORE_TESTS, *KEEPING),
    ),
    Mutant(
        "another program's database is put aside",
        AT_THE_PATH,
        "        if number or not _was_one(path, inode):",
        "        if False:",
        ("tests/journal/test_path.py",),
    ),
    Mutant(
        "a journal that others may read is taken",
        AT_THE_PATH,
        "    if found.st_mode & 0o077:",
        "    if False:",
        ("tests/journal/test_path.py", "tests/journal/test_file.py"),
    ),
)

PROBES = "swf_worker/core/probes.py"
REPORT = "swf_worker/instrumentation/health/report.py"
METRICS = "swf_worker/instrumentation/metrics.py"
PROBED = (*CORE_TESTS, "tests/operating/test_probes.py")
SUPERVISED = ("tests/operating/test_supervised_health.py",)
COUNTED = ("tests/operating/test_metrics.py", "tests/operating/test_dashboard.py")

OPERATING = (
    Mutant(
        "a worker that SWF refuses is ready",
        PROBES,
        "    if refused >= NOT_READY_AFTER:",
        "    if False:",
        PROBED,
    ),
    Mutant(
        "a worker that drains is ready",
        PROBES,
        "    if phase in STOPPING:",
        "    if False:",
        PROBED,
    ),
    Mutant(
        "a poll loop that stands still is live",
        PROBES,
        "    if polls > WEDGED_AFTER:",
        "    if False:",
        PROBED,
    ),
    Mutant(
        "a process that is silent is ready",
        REPORT,
        "    if member.wedged is not None:\n        return member.wedged\n    if member.snapshot is None",
        "    if member.snapshot is None",
        SUPERVISED,
    ),
    Mutant(
        "what was presumed accepted is counted as late",
        METRICS,
        "        if record.disposition == Disposition.PRESUMED_ACCEPTED:",
        "        if False:",
        COUNTED,
    ),
    Mutant(
        "outcomes are not there before the first of them",
        METRICS,
        "            for outcome in OUTCOMES:",
        "            for outcome in ():",
        COUNTED,
    ),
    Mutant(
        "each unknown type is a series",
        METRICS,
        "        return known or (UNREGISTERED if len(self._types) < MOST_TYPES else OTHERS)",
        "        return known or str(kind)",
        COUNTED,
    ),
)

ALL = (*CORE, *SHELL, *PAYLOADS, *JOURNAL, *OPERATING)
