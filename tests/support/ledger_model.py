"""A model checker for the ledger: the package's own decisions, over all interleavings of whatever can go wrong.

A state is a tuple, and all clocks count ticks, so that there are finitely many. `moves` yields each (label, next state):
what workers, server, power and disk may do. The server is the most general one that keeps the bound: it may answer,
refuse or stay silent for ever, until so many ticks after a request left, or after its client gave up.

    record   (kind, request, lasts, synced)     kind: asking | void | answered | broken
    request  (status, left)                     status: pending | answered | refused | never; left: ticks until "never"
    worker   (at, seen, watched, looked, looks, fresh, request)
"""

from __future__ import annotations

import functools
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from langchain_mistral_imagegen._ledger.decision import Decision, Head, Patience, Step, Watching, decide, may_leave
from langchain_mistral_imagegen._ledger.records import Answered, Asking, Record, Void

MOST_LOOKS = 5  # pauses between looks do not grow any more


class BrokenPromiseError(Exception):
    """An invariant does not hold."""


class Kept(NamedTuple):
    kind: str
    request: int = -1
    lasts: int = -1
    synced: bool = False


class Sent(NamedTuple):
    status: str
    left: int


class Worker(NamedTuple):
    at: str = "read"
    seen: int = -2  # nothing was seen yet
    watched: int = 0
    looked: int = -1  # when it was watched for so long; -1: not yet
    looks: int = 0
    fresh: int = 0  # ticks for which a request may leave; while leaving 0, -1, ...
    request: int = -1


class Budget(NamedTuple):
    crashes: int
    powers: int
    corruptions: int


class State(NamedTuple):
    records: tuple[Kept, ...]
    requests: tuple[Sent, ...]
    workers: tuple[Worker, ...]
    budget: Budget


@dataclass(frozen=True)
class Ticks(Patience):
    """The package's patience, in ticks."""

    s: int = 1
    d: int = 2
    g: int = 1
    first: int = 2

    send = property(lambda self: self.s)
    grace = property(lambda self: self.g)
    lasts = property(lambda self: max(self.d, self.first))


def _record(kept: Kept) -> Record | None:
    match kept.kind:
        case "answered":
            return Answered(answer={}, at="", by="")
        case "void":
            return Void(at="", by="")
        case "broken":
            return Asking(at="", by="")
    return Asking(lasts=kept.lasts, at="", by="")


@dataclass(frozen=True)
class Rules:
    """The package's rules; a mutation has one of them changed."""

    decide: Callable[[Watching, float, Patience], Decision] = decide
    may_leave: Callable[[float, Patience], bool] = may_leave
    seeing: Callable[[Watching, Head, float], Watching] = Watching.seeing
    read: Callable[[Kept], Record | None] = _record
    creates_once: bool = True
    syncs: bool = True


@dataclass(frozen=True)
class Case:
    """What is explored.

    Attributes:
        late: The server may answer after its bound; nothing can be promised then.
        frozen: A worker may stand still for longer than the grace; nothing can be promised then.
    """

    ticks: Ticks = Ticks()
    workers: int = 2
    crashes: int = 1
    powers: int = 0
    corruptions: int = 0
    requests: int = 2
    records: int = 4
    late: bool = False
    frozen: bool = False
    rules: Rules = Rules()

    def start(self) -> State:
        return State((), (), (Worker(),) * self.workers, Budget(self.crashes, self.powers, self.corruptions))


def put(items: tuple[Any, ...], place: int, item: Any) -> tuple[Any, ...]:
    return (*items[:place], item, *items[place + 1 :])


# --- the world ---


def moves(state: State, case: Case) -> Iterator[tuple[str, State]]:
    after = tick(state, case)
    if after not in {None, state}:
        yield "tick", after
    yield from server(state, case)
    yield from disasters(state)
    for place, worker in enumerate(state.workers):
        for label, then, changed in steps(worker, state, case):
            if len(then.records) <= case.records and len(then.requests) <= case.requests:
                yield f"{place} {label}", then._replace(workers=put(then.workers, place, changed))


def tick(state: State, case: Case) -> State | None:
    stuck = any(worker.at == "leaving" and worker.fresh <= -case.ticks.g for worker in state.workers)
    if stuck and not case.frozen:
        return None
    return state._replace(
        requests=tuple(map(_older, state.requests)), workers=tuple(_later(w, case) for w in state.workers)
    )


def _older(sent: Sent) -> Sent:
    if sent.status != "pending":
        return sent
    return Sent("never", 0) if sent.left <= 0 else sent._replace(left=sent.left - 1)


def _later(worker: Worker, case: Case) -> Worker:
    at = "read" if worker.at == "sleep" else worker.at
    fresh = max(worker.fresh - 1, -9) if at == "leaving" else max(0, worker.fresh - 1)
    is_watching = worker.seen > -2 and at in {"read", "look"}
    watched = min(worker.watched + 1, case.ticks.watch(None) + 1) if is_watching else worker.watched
    return worker._replace(at=at, fresh=fresh, watched=watched)


def server(state: State, case: Case) -> Iterator[tuple[str, State]]:
    connected = {worker.request for worker in state.workers if worker.at == "waiting"}
    for place, sent in enumerate(state.requests):
        if sent.status == "pending" or (case.late and sent.status == "never"):
            for status in ("answered", "refused") if place in connected else ("answered",):
                requests = put(state.requests, place, Sent(status, 0))
                yield f"request {place} is {status}", state._replace(requests=requests)


def disasters(state: State) -> Iterator[tuple[str, State]]:
    records, _, workers, budget = state
    for keep in (False, True) if budget.powers else ():  # what was not synced is gone, or torn
        kept = tuple(each if each.synced else Kept("broken", synced=True) for each in records if each.synced or keep)
        dead = tuple(worker if worker.at == "done" else Worker() for worker in workers)
        yield f"power loss, torn={keep}", State(kept, state.requests, dead, budget._replace(powers=budget.powers - 1))
    if budget.corruptions and records and records[-1].kind != "broken":
        broken = put(records, len(records) - 1, Kept("broken", synced=True))
        yield "corruption", state._replace(records=broken, budget=budget._replace(corruptions=budget.corruptions - 1))
    for place, worker in enumerate(workers):
        if budget.crashes and worker.at not in {"read", "done"}:
            after = budget._replace(crashes=budget.crashes - 1)
            yield f"{place} crashes in {worker.at}", state._replace(workers=put(workers, place, Worker()), budget=after)


# --- a worker ---

Steps = Iterator[tuple[str, State, Worker]]


def steps(worker: Worker, state: State, case: Case) -> Steps:
    return _STEPS.get(worker.at, _nothing)(worker, state, case)


def _nothing(worker: Worker, state: State, case: Case) -> Steps:
    return iter(())


def _read(worker: Worker, state: State, case: Case) -> Steps:
    number = len(state.records) - 1
    record = state.records[-1] if state.records else None
    seen = _seeing(case.rules, worker, number, record)
    worker = worker._replace(seen=number, watched=seen[0], looked=seen[1], looks=seen[2])
    decision = _decide(case, record, seen, found=False)
    if decision is Step.ADOPT:
        adopted(state, record.request)
        yield "adopts", state, worker._replace(at="done", request=record.request)
    else:
        yield f"decides to {decision}", state, _next(worker, decision)


def _look(worker: Worker, state: State, case: Case) -> Steps:
    """Look, and decide at once: what is found is kept in the next step, and a late one is not noticed any more."""
    answered = next((place for place, sent in enumerate(state.requests) if sent.status == "answered"), None)
    seen = (worker.watched, worker.watched, min(worker.looks + 1, MOST_LOOKS))
    record = _at(state.records, worker.seen)
    decision = _decide(case, record, seen, found=answered is not None)
    request = answered if decision is Step.KEEP else -1
    yield (
        f"looks, then {decision}",
        state,
        _next(worker._replace(looked=seen[1], looks=seen[2], request=request), decision),
    )


def _next(worker: Worker, decision: Decision) -> Worker:
    if decision in {Step.ASK, Step.KEEP}:  # how long it was watched counts no more
        return Worker("create" if decision is Step.ASK else "keep", worker.seen, request=worker.request)
    return worker._replace(at="look" if decision is Step.LOOK else "sleep")


def _create(worker: Worker, state: State, case: Case) -> Steps:
    """Create number seen + 1, which must not exist."""
    number = len(state.records)
    if number - 1 != worker.seen and case.rules.creates_once:
        yield "comes too late", state, worker._replace(at="read")
        return
    record = Kept("asking", lasts=case.ticks.first)
    at = "sync" if case.rules.syncs else "ready"
    asking = Worker(at, seen=number, fresh=case.ticks.s)
    yield "creates", state._replace(records=(*state.records, record)), asking


def _sync(worker: Worker, state: State, case: Case) -> Steps:
    if worker.seen >= len(state.records):
        yield "finds its record gone", state, worker._replace(at="read")
        return
    synced = put(state.records, worker.seen, state.records[worker.seen]._replace(synced=True))
    yield "syncs", state._replace(records=synced), worker._replace(at="ready")


def _ready(worker: Worker, state: State, case: Case) -> Steps:
    """Quota, rate limiter, pool and connection take any time; the check is the last thing before the headers."""
    since = case.ticks.s - worker.fresh if worker.fresh else case.ticks.s + 1
    if case.rules.may_leave(since, case.ticks):
        yield "may leave", state, worker._replace(at="leaving", fresh=0)
    else:
        yield "has to renew", state, worker._replace(at="create")


def _leaving(worker: Worker, state: State, case: Case) -> Steps:
    paid_once(state)
    sent = Sent("pending", case.ticks.first)
    waiting = worker._replace(at="waiting", request=len(state.requests), fresh=0)
    yield "sends", state._replace(requests=(*state.requests, sent)), waiting


def _waiting(worker: Worker, state: State, case: Case) -> Steps:
    sent = state.requests[worker.request]
    if sent.status == "answered":
        yield "is answered", state, worker._replace(at="keep")
    if sent.status == "refused":
        yield "is refused", state, worker._replace(at="void")
        return
    yield "loses the connection", state, Worker()
    if sent.status in {"pending", "never"} and len(state.records) - 1 == worker.seen:
        left = Sent(sent.status, case.ticks.d if sent.status == "pending" else 0)
        record = Kept("asking", lasts=case.ticks.d, synced=True)
        requests = put(state.requests, worker.request, left)
        yield "gives up", state._replace(requests=requests, records=(*state.records, record)), Worker()


def _void(worker: Worker, state: State, case: Case) -> Steps:
    if len(state.records) - 1 == worker.seen:
        yield "withdraws", state._replace(records=(*state.records, Kept("void"))), Worker()
    else:
        yield "cannot withdraw", state, Worker()


def _keep(worker: Worker, state: State, case: Case) -> Steps:
    if state.records and state.records[-1].kind == "answered":
        yield "is second", state, Worker()
    else:
        record = Kept("answered", worker.request)
        yield "keeps the answer", state._replace(records=(*state.records, record)), Worker()


_STEPS = {
    "read": _read,
    "look": _look,
    "create": _create,
    "sync": _sync,
    "ready": _ready,
    "leaving": _leaving,
    "waiting": _waiting,
    "void": _void,
    "keep": _keep,
}


def _at(records: tuple[Kept, ...], number: int) -> Kept | None:
    return records[number] if 0 <= number < len(records) else None


@functools.cache
def _seeing(rules: Rules, worker: Worker, number: int, record: Kept | None) -> tuple[int, int, int]:
    """Read the head by the package's rule, and return how long it was watched, when looked at, and how often."""
    now = worker.watched
    head = Head(number, rules.read(record) if record else None)
    if worker.seen == -2:
        return 0, -1, 0
    looked = None if worker.looked < 0 else worker.looked
    seen = rules.seeing(Watching(Head(worker.seen), 0, looked, worker.looks), head, now)
    return int(now - seen.since), -1 if seen.looked is None else int(seen.looked - seen.since), seen.looks


@functools.cache
def _decide(case: Case, record: Kept | None, seen: tuple[int, int, int], *, found: bool) -> Decision:
    watched, looked, looks = seen
    head = Head(0 if record else -1, case.rules.read(record) if record else None)
    watching = Watching(head, 0, None if looked < 0 else looked, looks, found)
    return case.rules.decide(watching, watched, case.ticks)


# --- what is promised ---


def paid_once(state: State) -> None:
    """No request leaves while an earlier one was answered, or may still be."""
    for sent in state.requests:
        if sent.status in {"answered", "pending"}:
            raise BrokenPromiseError(f"a request left while an earlier one was {sent.status}")


def adopted(state: State, request: int) -> None:
    """Everybody gets the one answer."""
    if [place for place, sent in enumerate(state.requests) if sent.status == "answered"] != [request]:
        raise BrokenPromiseError("two answers, or another one adopted")


def patient(state: State, place: int, case: Case) -> None:
    """Alone from here, with a silent server, a worker sends or ends in time; at once after a withdrawal.

    One more tick, the time between two looks, may pass if what it watches is not the last record any more.
    """
    worker = state.workers[place]
    if worker.at in {"done", "waiting"}:
        return
    requests = tuple(Sent("never", 0) if sent.status == "pending" else sent for sent in state.requests)
    alone, calm, waited = (
        State(state.records, requests, (worker,), Budget(0, 0, 0)),
        replace(case, records=99, requests=99),
        0,
    )
    is_free = not state.records or state.records[-1].kind == "void"
    while (worker := alone.workers[0]).at not in {"done", "waiting"}:
        if worker.at == "sleep":
            alone, waited = tick(alone, calm) or alone, waited + 1
        else:
            ((_, then, changed),) = steps(worker, alone, calm)
            alone = then._replace(workers=(changed,))
        if waited > case.ticks.watch(None) + 1:
            raise BrokenPromiseError(f"waits {waited} ticks")
    if is_free and waited and state.workers[place].at == "read":
        raise BrokenPromiseError("waits although nothing was asked")


# --- exploring ---


class Result(NamedTuple):
    states: int
    is_complete: bool
    problem: str = ""
    trace: tuple[str, ...] = ()


def _canonical(state: State) -> State:
    """Nobody reads records before the last, and workers are alike: fewer states for the same behaviour."""
    last = len(state.records) - 1
    past = tuple(
        Kept("past", synced=True) if each.synced and at < last else each for at, each in enumerate(state.records)
    )
    return State(past, state.requests, tuple(sorted(state.workers)), state.budget)


def exhaust(case: Case, most: int = 10**9, *, is_mutant: bool = False) -> Result:
    """Explore all interleavings, breadth first, up to so many states."""
    start = case.start()
    parents: dict[State, tuple[State, str] | None] = {start: None}
    queue, checked = deque([start]), set()
    while queue:
        if len(parents) > most:
            return Result(len(parents), is_complete=False)
        state = queue.popleft()
        try:
            if not is_mutant:
                _all_patient(state, case, checked)
            for label, after in moves(state, case):
                found = _canonical(after)
                if found not in parents:
                    parents[found] = (state, label)
                    queue.append(found)
        except BrokenPromiseError as problem:
            return Result(len(parents), False, str(problem), tuple(_trace(parents, state)))
    return Result(len(parents), is_complete=True)


def _all_patient(state: State, case: Case, checked: set[Any]) -> None:
    for place, worker in enumerate(state.workers):
        alike = (state.records[-1:], len(state.records), worker, state.requests)
        if alike not in checked:
            checked.add(alike)
            patient(state, place, case)


def _trace(parents: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    labels = []
    while step := parents[state]:
        state, label = step
        labels.append(label)
    return labels[::-1]


def walk(case: Case, seed: int, steps: int = 250) -> Result:
    """Take one random way."""
    dice, trace, state = random.Random(seed), [], case.start()
    try:
        for _ in range(steps):
            patient(state, dice.randrange(case.workers), case)
            if not (options := list(moves(state, case))):
                break
            label, state = dice.choices(options, [_weight(label) for label, _ in options])[0]
            trace.append(label)
    except BrokenPromiseError as problem:
        return Result(len(trace), False, str(problem), tuple(trace))
    return Result(len(trace), is_complete=False)


def _weight(label: str) -> float:
    if label == "tick":
        return 3
    return (
        0.15 if label.startswith(("power", "corr")) or "crashes" in label else 0.3 if label.startswith("request") else 1
    )
