"""The fair queue without threads: its promises hold for requests, callers and threads in any order."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from service.engine.fair_queue import FairQueue, Request

THREADS = 3


@dataclass(eq=False)
class Caller:
    """What a caller has in the queue, and how long its requests have been passed over."""

    name: str
    requests: "list[Sent]" = field(default_factory=list)
    passed_over: int = 0  # turns of others since a request of this caller could begin
    others: int = 0  # callers that waited at that time


@dataclass(eq=False)
class Sent:
    """A request and what is left of it."""

    request: Request[tuple[int, int]]
    left: list[tuple[int, int]]
    running: int = 0

    @property
    def can_run(self) -> bool:
        return bool(self.left) and self.running < self.request.parallel


class Turns(RuleBasedStateMachine):
    """Callers send requests, requests leave, threads take images and finish them."""

    sent: Bundle[Sent] = Bundle("sent")

    def __init__(self) -> None:
        super().__init__()
        self.queue: FairQueue[tuple[int, int]] = FairQueue()
        self.callers = {name: Caller(name) for name in "abc"}
        self.running: list[Sent] = []
        self.numbers = 0

    @rule(target=sent, name=st.sampled_from("abc"), images=st.integers(0, 4), parallel=st.integers(1, 3))
    def send(self, name: str, images: int, parallel: int) -> Sent:
        """A caller sends a request."""
        self.numbers += 1
        items = [(self.numbers, i) for i in range(images)]
        one = Sent(Request(items, parallel), list(items))
        self.queue.add(one.request, name)
        self.callers[name].requests.append(one)
        return one

    @rule(one=consumes(sent))
    def leave(self, one: Sent) -> None:
        """A request is cancelled. What runs continues."""
        self.queue.drop(one.request)
        one.left.clear()
        for caller in self.callers.values():
            if not any(other.left for other in caller.requests):
                caller.passed_over = 0  # it has no turn any more, and gets the last one when it comes again

    @precondition(lambda self: len(self.running) < THREADS)
    @rule()
    def take(self) -> None:
        """A thread is free and takes an image."""
        ready = {name for name, caller in self.callers.items() if any(one.can_run for one in caller.requests)}
        taken = self.queue.take()
        if taken is None:
            assert not ready  # a thread is never idle while an image may begin
            return
        request, item = taken
        (caller, one) = next((c, one) for c in self.callers.values() for one in c.requests if one.request is request)
        assert one.can_run
        assert item == one.left.pop(0)  # in order
        one.running += 1
        self.running.append(one)
        for name in ready:
            other = self.callers[name]
            other.passed_over = 0 if other is caller else other.passed_over + 1
            assert other.passed_over < len(self.callers)  # every other caller has one turn at most before this one

    @precondition(lambda self: self.running)
    @rule(last=st.booleans())
    def finish(self, last: bool) -> None:
        """A thread is done with an image."""
        one = self.running.pop(-1 if last else 0)
        one.running -= 1
        self.queue.finished(one.request)

    @invariant()
    def nothing_is_lost(self) -> None:
        """The queue holds exactly the images that have not begun."""
        assert len(self.queue) == sum(len(one.left) for caller in self.callers.values() for one in caller.requests)

    def teardown(self) -> None:
        """Without new requests, every image runs."""
        while len(self.queue) or self.running:
            while len(self.running) < THREADS and (taken := self.queue.take()):
                one = next(o for c in self.callers.values() for o in c.requests if o.request is taken[0])
                one.left.remove(taken[1])
                one.running += 1
                self.running.append(one)
            self.finish(last=False)
        self.nothing_is_lost()


TestTurns = Turns.TestCase
Turns.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def order(queue: FairQueue[str], finish: bool = True) -> list[str]:
    names = []
    while taken := queue.take():
        names.append(taken[1])
        if finish:
            queue.finished(taken[0])
    return names


def test_requests_of_a_caller_take_turns() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.add(Request(["a0", "a1", "a2"], parallel=2))
    queue.add(Request(["b0"], parallel=2))
    queue.add(Request(["c0", "c1"], parallel=2))
    assert order(queue) == ["a0", "b0", "c0", "a1", "c1", "a2"]


def test_callers_take_turns_regardless_of_their_number_of_requests() -> None:
    queue: FairQueue[str] = FairQueue()
    for i in range(4):
        queue.add(Request([f"many{i}0", f"many{i}1"], parallel=2), caller="many")
    queue.add(Request(["one0", "one1", "one2"], parallel=2), caller="one")
    assert order(queue)[:6] == ["many00", "one0", "many10", "one1", "many20", "one2"]


def test_request_at_its_limit_lets_others_pass() -> None:
    queue: FairQueue[str] = FairQueue()
    large = Request(["a0", "a1"], parallel=1)
    queue.add(large)
    queue.add(Request(["b0", "b1"], parallel=2))
    assert order(queue, finish=False) == ["a0", "b0", "b1"]
    queue.finished(large)
    assert order(queue) == ["a1"]
