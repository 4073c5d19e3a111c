import os
import signal

import pytest

from napari_sam2track.cli._signals import ToldToStop, after_this_step, exit_code, raise_when_told

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no such signals")
NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers():
    """Those of a program that nobody started with nohup or in the background."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    for number in NUMBERS:
        usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, usual)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_is_noted_and_the_second_acts(number):
    raise_when_told()
    with pytest.raises(KeyboardInterrupt) as stopped, after_this_step() as told:
        assert told() == 0
        os.kill(os.getpid(), number)
        assert told() == number
        os.kill(os.getpid(), number)
    assert exit_code(stopped.value) == 128 + number


def test_handlers_are_put_back():
    before = [signal.getsignal(number) for number in NUMBERS]
    with after_this_step():
        assert all(signal.getsignal(number) not in before for number in NUMBERS)
    assert [signal.getsignal(number) for number in NUMBERS] == before


def test_what_nohup_ignores_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise_when_told()
    with after_this_step() as told:
        os.kill(os.getpid(), signal.SIGHUP)
        assert told() == 0
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_any_command_unwinds(sam2track, tmp_path, monkeypatch):
    """A signal in the middle of a command is told in one sentence, and nothing half is left."""
    from napari_sam2track.storage import output

    source = tmp_path / "a.json"
    table = '{"format": "sam2track-tracks"}'
    source.write_text(table)

    def told(*args, **kwargs):
        raise ToldToStop(signal.SIGTERM)

    monkeypatch.setattr(output, "recover_path", told)
    monkeypatch.setattr("napari_sam2track.storage.recovery.recover_path", told)
    result = sam2track("convert", source, tmp_path / "b.csv")
    assert result.exit_code == 143
    assert result.stderr == "Interrupted.\n"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_what_fails_while_a_command_unwinds_is_no_other_error(monkeypatch, capsys):
    from typer import Exit

    from napari_sam2track.cli._run import guarded

    @guarded
    def command():
        try:
            raise ToldToStop(signal.SIGHUP)
        finally:
            raise RuntimeError("release unlocked lock")

    with pytest.raises(Exit) as ended:
        command()
    assert ended.value.exit_code == 129
    assert capsys.readouterr().err == "Interrupted.\n"


def test_before_a_command_begins(monkeypatch):
    from napari_sam2track import cli

    def told(*args, **kwargs):
        raise ToldToStop(signal.SIGTERM)

    monkeypatch.setattr(cli, "app", told)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 143
