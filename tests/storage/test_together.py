"""Several outputs appear together; what a person put there or changed stays."""

import json
import re
import shutil

import pytest
from killing import count_changes, killed_after

from napari_sam2track.errors import OutputError
from napari_sam2track.storage import durable
from napari_sam2track.storage.recovery import recover
from napari_sam2track.storage.together import HIDDEN, LIST, STAGED, finish, together, written


def run(folder, outputs):
    """Outputs by name: a text, or a dict of texts for a folder."""
    (folder / HIDDEN).mkdir(parents=True, exist_ok=True)
    with together(folder) as new:
        for name, content in outputs.items():
            if isinstance(content, dict):
                (new / name).mkdir()
                for inner, text in content.items():
                    (new / name / inner).write_text(text)
            else:
                (new / name).write_text(content)
    return finish(folder)


def content(folder):
    """All that a person sees."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and HIDDEN not in path.parts
    }


FIRST = {"labels": {"a.tif": "1", "b.tif": "2"}, "tracks.csv": "first", "overlay.mp4": "film"}
SECOND = {"labels": {"a.tif": "3"}, "tracks.csv": "second", "session.json": "{}"}


def test_what_is_ours_is_replaced_and_removed(tmp_path):
    run(tmp_path, FIRST)
    assert content(tmp_path) == {
        "labels/a.tif": "1",
        "labels/b.tif": "2",
        "tracks.csv": "first",
        "overlay.mp4": "film",
    }
    outcome = run(tmp_path, SECOND)
    assert content(tmp_path) == {
        "labels/a.tif": "3",
        "tracks.csv": "second",
        "session.json": "{}",
    }
    assert dict(outcome.names) == {name: name for name in SECOND}
    assert outcome.kept == ()
    assert sorted(p.name for p in (tmp_path / HIDDEN).iterdir()) == [LIST]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda f: (f / "labels" / "mine.txt").write_text("x"), "labels"),
        (lambda f: (f / "labels" / "a.tif").write_text("5"), "labels"),
        (lambda f: (f / "labels" / "a.tif").unlink(), "labels"),
        (lambda f: (f / "labels" / "link").symlink_to("/etc"), "labels"),
        (lambda f: (f / "tracks.csv").write_text("FIRST"), "tracks.csv"),
        (lambda f: (shutil.rmtree(f / "labels"), (f / "labels").write_text("")), "labels"),
        (lambda f: ((f / "labels").rename(f / "x"), (f / "labels").symlink_to(f / "x")), "labels"),
    ],
    ids=["added", "changed", "removed", "link inside", "same size", "other kind", "link"],
)
def test_what_a_person_changed_is_kept(tmp_path, change, name):
    run(tmp_path, FIRST)
    change(tmp_path)

    def of_name():
        return {k: v for k, v in content(tmp_path).items() if k.split("/")[0] == name}

    mine = of_name()
    outcome = run(tmp_path, SECOND)
    stem, _, suffix = name.partition(".")
    free = f"{stem}-2{'.' if suffix else ''}{suffix}"
    assert outcome.names[name] == free
    now = content(tmp_path)
    assert of_name() == mine
    assert outcome.kept == ()  # said once is enough
    assert (free if suffix else f"{free}/a.tif") in now
    again = run(tmp_path, SECOND)  # what is ours is found under its new name
    assert again.names[name] == free
    assert content(tmp_path) == now


def test_what_was_never_ours(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "thesis.doc").write_text("years")
    (tmp_path / "tracks.csv").write_text("mine")
    (tmp_path / "tracks-2.csv").write_text("mine too")
    outcome = run(tmp_path, FIRST)
    assert dict(outcome.names) == {
        "labels": "labels-2",
        "tracks.csv": "tracks-3.csv",
        "overlay.mp4": "overlay.mp4",
    }
    shutil.rmtree(tmp_path / "labels")  # its name is free again
    outcome = run(tmp_path, FIRST)
    assert outcome.names["labels"] == "labels"
    assert not (tmp_path / "labels-2").exists()


def test_what_is_not_needed_any_more_and_was_changed(tmp_path):
    run(tmp_path, FIRST)
    (tmp_path / "overlay.mp4").write_text("cut by hand")
    assert run(tmp_path, SECOND).kept == ("overlay.mp4",)
    assert (tmp_path / "overlay.mp4").read_text() == "cut by hand"
    assert run(tmp_path, SECOND).kept == ("overlay.mp4",)
    (tmp_path / "overlay.mp4").write_text("film")  # the change is taken back: it is ours again
    assert run(tmp_path, SECOND).kept == ()
    assert not (tmp_path / "overlay.mp4").exists()


def test_a_change_that_is_taken_back(tmp_path):
    run(tmp_path, FIRST)
    (tmp_path / "labels" / ".DS_Store").write_text("a browser of files looked at it")
    assert run(tmp_path, FIRST).names["labels"] == "labels"
    (tmp_path / "labels" / "mine.txt").write_text("x")
    assert run(tmp_path, SECOND).names["labels"] == "labels-2"
    (tmp_path / "labels" / "mine.txt").unlink()
    assert run(tmp_path, SECOND).names["labels"] == "labels"
    assert not (tmp_path / "labels-2").exists()


def test_killed_after_a_free_name_was_chosen(tmp_path):
    """The name that was chosen counts, however often the work is begun again."""
    start = tmp_path / "start"
    run(start, FIRST)
    (start / "tracks.csv").write_text("mine")
    for k in range(40):
        folder = tmp_path / f"{k}"
        shutil.copytree(start, folder)
        with killed_after(k):
            run(folder, SECOND)
        outcome = run(folder, SECOND)
        assert outcome.names["tracks.csv"] == "tracks-2.csv"
        assert sorted(p.name for p in folder.iterdir() if p.name != HIDDEN) == [
            *("labels", "session.json", "tracks-2.csv", "tracks.csv")
        ]


def test_permissions_are_inherited(tmp_path):
    run(tmp_path, FIRST)
    (tmp_path / "tracks.csv").chmod(0o600)
    run(tmp_path, SECOND)
    assert (tmp_path / "tracks.csv").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["staged", "staged/new", "staged/old"])
def test_links_in_the_hidden_folder(tmp_path, name):
    """A folder from a stranger must not lead out of itself."""
    victim, folder = tmp_path / "victim", tmp_path / "r"
    victim.mkdir()
    (victim / "tracks.csv").write_text("precious")
    run(folder, FIRST)
    with killed_after(9):
        run(folder, SECOND)
    link = folder / HIDDEN / name
    shutil.rmtree(link, ignore_errors=True)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(victim)
    recover(folder / "tracks.csv")
    with pytest.raises(OutputError, match="is a link, which no run makes there"):
        finish(folder)
    assert (victim / "tracks.csv").read_text() == "precious"


@pytest.mark.parametrize("can_exchange", [True, False])
def test_killed_anywhere(tmp_path, monkeypatch, can_exchange):
    """The next command sees all old outputs, or all new ones."""
    if not can_exchange:
        monkeypatch.setattr(durable, "_exchange_call", lambda: None)
    start = tmp_path / "start"
    run(start, FIRST)
    old = content(start)
    shutil.copytree(start, tmp_path / "count")
    n = count_changes(lambda: run(tmp_path / "count", SECOND))
    new = content(tmp_path / "count")
    assert n > 12
    seen = set()
    for k in range(n + 1):
        folder = tmp_path / f"{k}"
        shutil.copytree(start, folder)
        with killed_after(k):
            run(folder, SECOND)
        recover(folder / "tracks.csv")
        assert content(folder) in (old, new), k
        seen.add(content(folder) == new)
        run(folder, SECOND)
        assert content(folder) == new
        assert sorted(p.name for p in (folder / HIDDEN).iterdir() if p.name != "lock") == [LIST]
    assert seen == {True, False}


def test_a_change_between_a_kill_and_the_next_command(tmp_path):
    """What a person does to outputs that have just got their names is kept as well."""
    for k in range(8, 25):
        folder = tmp_path / f"{k}"
        run(folder, FIRST)
        with killed_after(k):
            run(folder, SECOND)
        if not (folder / HIDDEN / STAGED / "commit.json").exists():
            continue
        for path in (folder / "labels").iterdir():
            path.write_text("mine")
        finish(folder)
        assert "mine" in content(folder).values(), k
        run(folder, SECOND)
        assert "mine" in content(folder).values(), k


def test_an_error_while_writing_leaves_all_as_it_was(tmp_path):
    run(tmp_path, FIRST)
    before = content(tmp_path)
    with pytest.raises(ZeroDivisionError), together(tmp_path) as new:
        (new / "tracks.csv").write_text("half")
        raise ZeroDivisionError
    assert finish(tmp_path) is None
    assert content(tmp_path) == before
    named = re.escape(f"cannot write {tmp_path / 'labels.tif'}: full")
    with pytest.raises(OutputError, match=named), together(tmp_path) as new:
        raise OutputError(f"cannot write {new / 'labels.tif'}: full")


def listed(name, path=""):
    return json.dumps({"outputs": [{"name": name, "files": {path: [1, "ab"]}}]})


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", '{"outputs": [{"name": 1}]}', '{"outputs": 3}', "[" * 100_000),
        '{"outputs": [{"name": "a", "files": {"": [1e999, "x"]}}]}',
        *(listed(name) for name in ("", ".", "..", "../a", "a/b", "/etc/hosts", HIDDEN)),
        *(listed("labels", path) for path in ("../a", "a/../../b", "/etc/hosts")),
    ],
)
def test_a_list_that_is_damaged(tmp_path, text):
    """Then nothing is known to be ours."""
    run(tmp_path, FIRST)
    (tmp_path / HIDDEN / LIST).write_text(text)
    assert written(tmp_path) == []
    before = content(tmp_path)
    outcome = run(tmp_path, SECOND)
    assert outcome.names["tracks.csv"] == "tracks-2.csv"
    assert before.items() <= content(tmp_path).items()
