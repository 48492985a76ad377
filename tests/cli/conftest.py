"""Runs `hf-dynmask`: its output, and the one line in which it refuses a command."""

from __future__ import annotations

import pytest

from hf_dynmask.cli.main import main


@pytest.fixture
def printed(capsys):
    """The output of a command."""

    def printed(*arguments: object) -> str:
        main([str(each) for each in arguments])
        return capsys.readouterr().out

    return printed


@pytest.fixture
def refused(capsys):
    """The one line in which a command is refused."""

    def refused(*arguments: object) -> str:
        with pytest.raises(SystemExit) as stopped:
            main([str(each) for each in arguments])
        output, error = capsys.readouterr()
        assert (stopped.value.code, output, error.count("\n")) == (2, "", 1)
        return error

    return refused
