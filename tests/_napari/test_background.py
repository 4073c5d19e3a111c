"""Jobs in another thread; what superqt's workers get wrong is right here."""

import threading
import time

import pytest

from napari_sam2track._napari.background import Background, Job


@pytest.fixture
def thread():
    made = Background("test-background")
    yield made
    made.close()
    assert not [t for t in threading.enumerate() if t.name == "test-background"]


class Log(list):
    def job(self, make, name="", **options):
        def told(*what):
            self.append((name, *what) if name else what)

        return Job(
            make,
            lambda item: told("item", item),
            lambda stopped: told("end", stopped),
            lambda error: told("error", type(error).__name__, str(error)),
            **options,
        )


def count(n, pause=0.0, closed=None):
    def steps():
        try:
            for k in range(n):
                time.sleep(pause)
                yield k
        finally:
            if closed is not None:
                closed.append(threading.current_thread().name)

    return steps


def test_results_come_in_the_thread_that_asks_for_them(thread):
    where = []
    thread.submit(Job(count(3), lambda _: where.append(threading.current_thread())))
    assert thread.finish(5)
    assert where == [threading.current_thread()] * 3


def test_a_runtime_error_of_torch_is_told_of(thread):
    log = Log()

    def steps():
        yield 1
        raise RuntimeError("CUDA out of memory")

    thread.submit(log.job(steps))
    thread.finish(5)
    assert log == [("item", 1), ("error", "RuntimeError", "CUDA out of memory")]
    thread.submit(log.job(count(1)))  # and the next job is done
    thread.finish(5)
    assert log[-1] == ("end", False)


def test_a_stopped_job_is_closed_at_once_and_in_its_own_thread(thread):
    log, closed = Log(), []
    job = thread.submit(log.job(count(1000, 0.002, closed)))
    while not log:
        thread.drain()
    job.stop()
    thread.finish(5)
    assert log[-1] == ("end", True) and len(log) < 500
    assert closed == ["test-background"]


def test_urgent_jobs_have_their_turn_between_two_steps(thread):
    log = Log()
    thread.submit(log.job(count(200, 0.002), "long"))
    while not log:
        thread.drain()
    thread.submit(log.job(count(1), "click"), urgent=True)
    thread.finish(5)
    assert log.index(("click", "end", False)) < log.index(("long", "end", False))
    assert log.count(("long", "item", 199)) == 1


def test_a_later_job_with_the_same_key_replaces_one_that_waits(thread):
    log = Log()
    thread.submit(log.job(count(20, 0.005), "busy"))
    thread.submit(log.job(count(1), "old", key="k"))
    thread.submit(log.job(count(1), "new", key="k"))
    thread.finish(5)
    names = {name for name, *_ in log}
    assert names == {"busy", "new"}


def test_what_fails_where_a_result_is_taken_ends_the_job(thread):
    log = Log()

    def take(item):
        raise OSError("the disk is full")

    errors = []
    thread.submit(Job(count(1000, 0.001), take, log.append, errors.append))
    thread.finish(5)
    assert [str(e) for e in errors] == ["the disk is full"] and not log


def test_the_thread_waits_when_results_pile_up(thread):
    made = []

    def steps():
        for k in range(1000):
            made.append(k)
            yield k

    thread.submit(Job(steps))
    time.sleep(0.2)
    assert len(made) < 50
    assert thread.finish(10) and len(made) == 1000


def test_closing_ends_what_goes_on_and_what_waits(thread):
    log = Log()
    thread.submit(log.job(count(100_000, 0.001), "first"))
    thread.submit(log.job(count(1), "second"))
    time.sleep(0.05)
    assert thread.close(5)
    assert ("first", "end", True) in log and ("second", "end", True) in log
    with pytest.raises(ValueError, match="test-background is closed"):
        thread.submit(log.job(count(1)))


def test_jobs_of_two_threads_take_turns():
    inside, most = [0], [0]

    def steps():
        for _ in range(30):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.001)
            inside[0] -= 1
            yield

    both = [Background("one"), Background("two")]
    for thread in both:
        thread.submit(Job(steps))
    for thread in both:
        thread.finish(5)
        thread.close()
    assert most == [1]
