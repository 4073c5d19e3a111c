"""What is stale: segments and tasks, against the rules in words."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2track.engine.tasks import segments, tasks_of, whole_tasks
from napari_sam2track.prompts import Point, Prompt, PromptSet

LAST = 19


def click(x=1.0):
    return Prompt(points=(Point(1.0, x),))


PROMPTS = st.dictionaries(st.integers(0, LAST), st.builds(click, st.integers(0, 2)), min_size=1)
DIRECTIONS = st.sampled_from(["forward", "backward", "both"])
BEFORE = st.sampled_from(["keep", "halfway"])


def owners(prompts, direction="both", before="keep", first=0, last=LAST):
    """(frame) to (prompted frame, step, key)."""
    out = {}
    for s in segments(prompts, first, last, direction, before):
        for t in s.frames:
            assert t not in out
            out[t] = (s.prompted, s.frames.step, s.key)
    return out


def nothing(*_):
    return None


@given(PROMPTS, DIRECTIONS, BEFORE)
def test_each_frame_follows_from_one_prompt(prompts, direction, before):
    got = owners(prompts, direction, before)
    given_at = sorted(prompts)
    for t in range(LAST + 1):
        earlier = [p for p in given_at if p <= t]
        later = [p for p in given_at if p > t]
        if direction == "backward":
            expected = (given_at[0], -1) if t <= given_at[0] else None
        elif not earlier:
            expected = (given_at[0], -1) if direction == "both" else None
        elif before == "halfway" and later and t > (earlier[-1] + later[0]) // 2:
            expected = (later[0], -1)
        else:
            expected = (earlier[-1], 1)
        assert (got[t][:2] if t in got else None) == expected


@given(PROMPTS, st.integers(0, LAST), st.integers(5, 9), DIRECTIONS, BEFORE)
def test_a_changed_prompt_touches_what_lies_between_its_neighbours(
    prompts, at, x, direction, before
):
    changed = {**prompts, at: click(x)}
    old, new = owners(prompts, direction, before), owners(changed, direction, before)
    stale = {t for t in new if new[t] != old.get(t)}
    others = [t for t in prompts if t != at]
    low = max((t for t in others if t < at), default=-1)
    high = min((t for t in others if t > at), default=LAST + 1)
    assert all(low < t < high for t in stale)
    if before == "keep" and any(t < at for t in others) and direction != "backward":
        assert stale == set(range(at, high))  # nothing before it


@given(PROMPTS, DIRECTIONS, BEFORE, st.data())
def test_tasks_cover_what_is_stale_and_nothing_else(prompts, direction, before, data):
    wanted = segments(prompts, 0, LAST, direction, before)
    keys = {t: s.key for s in wanted for t in s.frames}
    fresh = data.draw(st.sets(st.sampled_from(sorted(keys)))) if keys else set()
    covered = []
    for step in (1, -1):
        for task in tasks_of(3, prompts, wanted, lambda t: keys[t] if t in fresh else None, step):
            assert task.step == step
            assert task.stale <= set(task.frames)
            assert task.frames[0] in task.prompts  # it begins where somebody prompted
            assert max(t * step for t in task.stale) == task.frames[-1] * step
            assert all(task.key_of(t) == keys[t] for t in task.stale)
            covered += task.stale
    assert sorted(covered) == sorted(set(keys) - fresh)


def test_a_task_goes_on_from_a_memory():
    prompts = {0: click(), 10: click()}
    wanted = segments(prompts, 0, LAST, "both", "keep")
    done = {t: s.key for s in wanted for t in s.frames if t < 15}
    (task,) = tasks_of(1, prompts, wanted, done.get, 1)
    assert (task.frames, sorted(task.stale)) == (range(20), [15, 16, 17, 18, 19])
    later = task.after(12, {"bank": 1})
    assert (later.frames, later.stale, later.state) == (range(13, 20), task.stale, {"bank": 1})
    assert later.prompts == {}
    corrected = {**prompts, 5: click(3)}
    wanted = segments(corrected, 0, LAST, "both", "keep")
    done = {t: s.key for s in wanted for t in s.frames if not 5 <= t < 10}
    (task,) = tasks_of(1, corrected, wanted, done.get, 1)
    assert (task.frames, sorted(task.stale)) == (range(10), [5, 6, 7, 8, 9])
    assert sorted(task.after(4, {}).prompts) == [5]


def test_neighbouring_segments_are_one_task():
    """What was never computed is followed in one go, corrections included."""
    prompts = {0: click(), 7: click(), 12: click()}
    wanted = segments(prompts, 0, LAST, "both", "keep")
    (task,) = tasks_of(1, prompts, wanted, nothing, 1)
    assert task.frames == range(20)
    assert sorted(task.prompts) == [0, 7, 12]


def test_keys_tell_prompts_directions_and_settings_apart():
    def key(prompts, salt=b"", step=1):
        return next(
            s.key for s in segments(prompts, 0, 9, "both", "keep", salt) if s.frames.step == step
        )

    base = {4: click()}
    keys = {
        key(base),
        key({4: click(2)}),
        key({5: click()}),
        key({4: Prompt(points=(Point(1.0, 1.0, False),))}),
        key({4: Prompt(box=(0, 0, 3, 3))}),
        key(base, b"other"),
        key(base, step=-1),
    }
    assert len(keys) == 7
    assert key(base) == key({4: click(), 7: click()})


def test_whole_tasks():
    prompts = PromptSet({(1, 2): click(), (1, 5): click(), (2, 8): click()})
    one, two = whole_tasks(prompts, range(10))
    assert (one.frames, sorted(one.prompts)) == (range(2, 10), [2, 5])
    assert two.frames == range(8, 10)
    one, two = whole_tasks(prompts, range(9, -1, -1))
    assert (one.frames, sorted(one.prompts)) == (range(2, -1, -1), [2])
    assert two.frames == range(8, -1, -1)


def test_keys_do_not_depend_on_how_numbers_came():
    plain = {4: Prompt(points=(Point(1.0, 2.0),)), 6: Prompt(box=(1.0, 2.0, 9.0, 8.0))}
    odd = {
        np.int64(4): Prompt(points=(Point(np.int64(1), np.float32(2), np.True_),)),
        np.int64(6): Prompt(box=(1, np.int16(2), 9, 8)),
    }
    assert owners(plain) == owners(odd)
