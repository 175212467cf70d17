"""A lock on a file: one alone or many that share, threads of one process as well, and the file may be removed meanwhile."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from warehouse.file_lock import lock_file


def test_one_alone_or_many_that_share_in_one_process_too(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    alone = lock_file(path)
    assert alone is not None
    with alone:
        assert lock_file(path) is None
        assert lock_file(path, is_shared=True) is None
    one, two = lock_file(path, is_shared=True), lock_file(path, is_shared=True)
    assert one is not None
    assert two is not None
    with one, two:
        assert lock_file(path) is None
    again = lock_file(path)
    assert again is not None
    again.close()


def test_the_file_is_its_owners_alone_and_keeps_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    for wanted in ("", "4711"):
        lock = lock_file(path)
        assert lock is not None
        with lock:
            assert path.read_text() == wanted
            lock.write(b"4711")
    assert path.stat().st_mode & 0o777 == 0o600


def test_many_that_remove_the_file_as_they_let_go_never_hold_it_at_once(tmp_path: Path) -> None:
    path, inside, most = tmp_path / "lock", list[int](), list[int]()
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait()
        for _ in range(500):
            if lock := lock_file(path):
                with lock:
                    inside.append(number)
                    time.sleep(0.0002)
                    most.append(len(inside))
                    inside.remove(number)
                    with suppress(FileNotFoundError):
                        path.unlink()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert set(most) == {1}
