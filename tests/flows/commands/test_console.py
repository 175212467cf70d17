"""`trimtab console` says where it is, what to do where nobody can sign in, and that a port is taken."""

import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from schemas.errors import ExitCode
from schemas.settings import Settings
from tasks.review import access
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.console_scene import PASSWORD
from tests.support.servers import free_port

pytestmark = pytest.mark.system


def console(home: Path, port: int) -> "subprocess.Popen[str]":
    command = [Path(sys.executable).parent / "trimtab", "console", "--port", str(port)]
    environment = {**os.environ, "TRIMTAB_HOME": str(home)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_port_that_is_taken_is_wrong_usage_and_not_a_held_run(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = console(tmp_path, port)
        _, said = done.communicate(timeout=120)
    assert done.returncode == ExitCode.WRONG_USAGE
    assert f"nothing can listen at 127.0.0.1, port {port}: " in said
    assert "--port takes another one" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("is_known", [False, True])
def test_its_address_is_printed_and_the_command_that_makes_a_password(tmp_path: Path, *, is_known: bool) -> None:
    with closing(open_ledger(Settings(home=tmp_path))) as ledger:
        if is_known:
            access.set_password(ledger.access, current_actor(), PASSWORD, actor=current_actor(), now=utc_now())
    serving = console(tmp_path, free_port())
    assert serving.stderr is not None
    first = serving.stderr.readline()
    assert first.startswith("The console is at http://127.0.0.1:")
    if not is_known:
        assert f"`trimtab users set-password {current_actor()}`" in serving.stderr.readline()
    serving.terminate()
    _, rest = serving.communicate(timeout=120)
    assert "Nobody can sign in" not in rest
