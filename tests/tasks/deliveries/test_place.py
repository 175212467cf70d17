import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from schemas.errors import PlaceUnreachable, Terminal
from tasks.core.export.files import sha256
from tasks.deliveries.place import open_place
from tasks.sources import s3 as sources
from tests.support.delivery_scene import RUN, HttpLine, Scene, bucket_scene, hashes, line_to, sftp_scene
from tests.support.servers import ObjectStore, Sshd

FILES = (
    ("accounts/a1.csv", b"one\n"),
    ("accounts/.b..csv", b""),
    ("packed.csv.gz", b"not really packed"),
    ("blocks.csv", os.urandom(3_000_000)),
    ("manifest.json", bytes(range(256))),
)


def test_what_is_put_is_found_again_with_the_same_hashes_and_stands_there(place: Scene) -> None:
    place.put(*FILES)
    assert place.hashes(*(path for path, _ in FILES)) == hashes(FILES)
    assert place.contents() == dict(FILES)


def test_only_what_is_asked_for_and_there_is_found(place: Scene) -> None:
    assert place.hashes("blocks.csv", "accounts/a1.csv") == {}
    place.put(("accounts/a1.csv", b"one"), ("accounts/a2.csv", b"two"))
    assert place.hashes("accounts/a2.csv", "accounts/a3.csv", "a2.csv") == {"accounts/a2.csv": sha256(b"two")}
    assert place.hashes() == {}


def test_many_files_go_batch_by_batch_over_one_opening(place: Scene) -> None:
    files = [(f"accounts/a{number}.csv", b"%d" % number) for number in range(60)]
    with open_place(place.delivery) as there:
        for start in range(0, len(files), 20):
            there.put(RUN, files[start : start + 20])
        there.put(RUN, [])
        assert there.hashes(RUN, [path for path, _ in files]) == hashes(files)
    assert place.contents() == dict(files)


def test_the_same_file_again_is_fine(place: Scene) -> None:
    place.plant("accounts/a1.csv", b"one\n")
    place.put(*FILES)
    place.put(*FILES)
    assert place.contents() == dict(FILES)


@pytest.mark.parametrize("theirs", [b"One\n", b"", b"one\nmore"], ids=["as long", "empty", "longer"])
def test_a_different_file_is_refused_and_left_as_it_is_and_nothing_is_written_beside_it(
    place: Scene, theirs: bytes
) -> None:
    place.plant("accounts/a1.csv", theirs)
    with pytest.raises(
        Terminal, match=r"accounts/a1\.csv of bank exists and is another file; needed 4 bytes(.|\n)*Hint"
    ):
        place.put(*FILES)
    assert place.contents() == {"accounts/a1.csv": theirs}


@pytest.mark.parametrize(
    "path", ["/etc/a.csv", "../a.csv", "a/../../a.csv", "a\\..\\b", "./a", "a//b", "a/", "", "a\nb"]
)
def test_a_path_that_leads_out_of_the_place_is_refused(place: Scene, path: str) -> None:
    for ask in (lambda there: there.put(RUN, [(path, b"x")]), lambda there: there.hashes(RUN, [path])):
        with open_place(place.delivery) as there, pytest.raises(Terminal, match="does not stay inside the place"):
            ask(there)
    with open_place(place.delivery) as there, pytest.raises(Terminal, match="does not stay inside the place"):
        there.put("../elsewhere", [("a.csv", b"x")])
    assert place.contents() == {}


# --- lines that break


BATCH = [(f"accounts/a{number}.csv", os.urandom(6_000 * number)) for number in range(8)]
SIZE = sum(len(content) for _, content in BATCH)
LEFT = [500, *range(4_000, SIZE, SIZE // 5), SIZE + 30_000]


def written_over(scene: Scene, bytes_left: int, **line: str) -> int:
    """How many files stand there after a try that may break off; they must be whole. Then the next try must end it."""
    is_broken = False
    try:
        scene.put(*BATCH, **line)
    except PlaceUnreachable:
        is_broken = True
    assert is_broken or bytes_left > SIZE
    whole = {path: content for path, content in scene.contents().items() if not path.endswith(".part")}
    assert whole.items() <= dict(BATCH).items()
    scene.put(*BATCH)
    assert scene.contents() == dict(BATCH)
    return len(whole)


def test_an_sftp_server_that_dies_anywhere_shows_no_half_file_and_the_next_try_ends_it(
    sshd: Sshd, tmp_path: Path
) -> None:
    counts = set()
    for bytes_left in LEFT:
        scene = sftp_scene(sshd, tmp_path / str(bytes_left))
        with line_to(sshd.port, bytes_left) as port:
            known = tmp_path / "known"
            known.write_text(sshd.known_hosts.read_text().replace(str(sshd.port), str(port)))
            url = scene.delivery.url.replace(str(sshd.port), str(port))
            counts.add(written_over(scene, bytes_left, url=url, known_hosts=str(known)))
    assert counts >= {0, len(BATCH)}


def test_an_object_store_that_dies_anywhere_shows_no_half_object_and_the_next_try_ends_it(
    s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "SILENCE_SECONDS", 3)

    def try_with(bytes_left: int) -> int:
        with line_to(s3.port, bytes_left, HttpLine) as port:
            return written_over(bucket_scene(s3), bytes_left, endpoint=f"http://127.0.0.1:{port}")

    with ThreadPoolExecutor(len(LEFT)) as pool:  # each waits a while before it gives up
        assert set(pool.map(try_with, LEFT[::2])) >= {0, len(BATCH)}
