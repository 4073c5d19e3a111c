"""Work in another thread, one job at a time, whose results are taken in the window's own thread.

Jobs are generators: between two of its steps a job can be stopped, or an urgent one (a click)
runs first. Nothing is emitted across threads: results wait until the window takes them
(`drain`), so that it is never held longer than it allows, and the thread waits in turn when they
pile up. All jobs that compute take turns, since torch's threads are best used by one.

Whatever goes wrong arrives as an exception in ``on_error``: also a RuntimeError, which torch
raises when memory runs out, and which superqt's generator workers would swallow.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

logger = logging.getLogger(__name__)

#: Results that may wait before the thread does.
_WAITING = 16
#: One step at a time in the whole process.
_TURN = threading.Lock()


def _ignore(*_: Any) -> None:
    """Ignore what is reported."""


@dataclass(eq=False)
class Job:
    """Job for the other thread.

    Attributes
    ----------
    make
        Called in the other thread; returns the generator.
    on_item, on_end, on_error
        Called in the window's thread: with each yielded item; with whether it was stopped early;
        with the exception. One of the last two is called in the end, unless a later job
        replaced it.
    key
        A later job with the same key replaces one that has not begun.
    """

    make: Callable[[], Generator[Any, None, Any]]
    on_item: Callable[[Any], object] = _ignore
    on_end: Callable[[bool], object] = _ignore
    on_error: Callable[[BaseException], object] = _ignore
    key: object = None
    stopped: threading.Event = field(default_factory=threading.Event)
    _error: BaseException | None = None

    def take(self, item: Any) -> None:
        """Report an item; if that fails, the job ends, with that error."""
        if self._error is None:
            try:
                self.on_item(item)
            except Exception as error:  # noqa: BLE001  it ends the job and is reported
                self._error = error
                self.stop()

    def end(self, stopped: bool) -> None:
        """Report how it ended."""
        if self._error is not None:
            self.on_error(self._error)
        else:
            self.on_end(stopped)

    def stop(self) -> None:
        """Stop it after the current step."""
        self.stopped.set()


class Background:
    """A thread for jobs, which begins with the first one and ends with `close`.

    It is kept in between: torch keeps a pool of threads, and prepared data, for each thread
    that calls it.

    Parameters
    ----------
    name
        Of the thread.
    wake
        Called, in the window's thread, when a job is submitted: the caller of `drain` begins then.
    turns
        Whether its jobs compute, and take turns with others that do.
    """

    def __init__(self, name: str, wake: Callable[[], object] = _ignore, turns: bool = True) -> None:
        self._name, self._wake = name, wake
        self._turn: AbstractContextManager[Any] = _TURN if turns else nullcontext()
        self._jobs: deque[Job] = deque()
        self._urgent: deque[Job] = deque()
        self._done: deque[Callable[[], object]] = deque()
        self._lock = threading.Condition()
        self._thread: threading.Thread | None = None
        self._active: list[Job] = []
        self._closed = False

    # -- in the window's thread ----------------------------------------------------------------

    def submit(self, job: Job, urgent: bool = False) -> Job:
        """Run a job after those submitted before; an urgent one runs between their steps."""
        with self._lock:
            if self._closed:
                raise ValueError(f"{self._name} is closed")
            queue = self._urgent if urgent else self._jobs
            if job.key is not None:
                for other in [j for j in queue if j.key == job.key]:
                    queue.remove(other)
            queue.append(job)
            self._lock.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
        self._wake()
        return job

    def drain(self, seconds: float = 0.02) -> bool:
        """Report results for about so long; return whether there will be more."""
        end = time.monotonic() + seconds
        while True:
            with self._lock:
                if not self._done:
                    return self.busy
                call = self._done.popleft()
                self._lock.notify_all()
            call()
            if time.monotonic() > end:
                return True

    @property
    def busy(self) -> bool:
        """True while there are results, or will be."""
        return bool(self._done or self._active or self._jobs or self._urgent)

    def stop(self) -> None:
        """Drop jobs that have not begun, and end the current one after its step."""
        with self._lock:
            for job in (*self._urgent, *self._jobs):
                self._done.append(partial(job.end, True))
            self._jobs.clear()
            self._urgent.clear()
            for job in self._active:
                job.stop()
            self._lock.notify_all()

    def finish(self, seconds: float = 60.0) -> bool:
        """Wait for all jobs, reporting their results; return whether all ended in that time."""
        end = time.monotonic() + seconds
        while self.drain() and time.monotonic() < end:
            time.sleep(0.002)
        return not self.busy

    def close(self, seconds: float = 60.0) -> bool:
        """Stop, report finished results, and end the thread; no job can be submitted afterwards."""
        self.stop()
        done = self.finish(seconds)
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        if done and self._thread is not None:
            self._thread.join(seconds)
        return done

    # -- in the other thread -------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._lock:
                while not (self._urgent or self._jobs or self._closed):
                    self._lock.wait()
                if self._closed:
                    return
                job = (self._urgent or self._jobs).popleft()
                self._active.append(job)
            self._do(job)

    def _do(self, job: Job, inner: bool = False) -> None:
        steps: Generator[Any, None, Any] | None = None
        try:
            with self._turn:
                steps = job.make()
            while not job.stopped.is_set():
                with self._turn:
                    try:
                        item = next(steps)
                    except StopIteration:
                        self._tell(partial(job.end, False))
                        return
                self._tell(partial(job.take, item))
                if not inner:
                    self._let_pass()
            with self._turn:
                steps.close()  # now and here, not at some garbage collection
            self._tell(partial(job.end, True))
        except BaseException as error:  # all of it is reported to the person
            logger.debug("a job failed", exc_info=True)
            self._tell(partial(job.on_error, error))
        finally:
            if steps is not None:
                steps.close()
            with self._lock:
                self._active.remove(job)

    def _let_pass(self) -> None:
        """Run the urgent jobs."""
        while True:
            with self._lock:
                if not self._urgent:
                    return
                job = self._urgent.popleft()
                self._active.append(job)
            self._do(job, inner=True)

    def _tell(self, call: Callable[[], object]) -> None:
        with self._lock:
            while len(self._done) >= _WAITING and not self._stopping():
                self._lock.wait(0.5)
            self._done.append(call)

    def _stopping(self) -> bool:
        return any(job.stopped.is_set() for job in self._active)
