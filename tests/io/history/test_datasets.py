"""Appends: whole or not at all, however the writer ends; the newer counts; elsewhere through fsspec."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time

import numpy as np
import pandas as pd
import pytest
from local_servers import free_port

from dsmodel import Cluster, ClusterConfig, examples
from dsmodel.errors import InvalidInput, MissingDependency, Unreachable
from dsmodel.io.history import append_history, read_history
from dsmodel.planning.scenario import fit

CLUSTER = Cluster(ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"], service_cidrs=["10.96.0.0/24"]))


def day(number):
    return f"2026-01-{number:02d}"


def frame(number, value):
    return pd.DataFrame({"time": [day(number)], "metric": ["pods"], "value": [value]})


def test_a_year_of_appends_is_fitted(tmp_path) -> None:
    for number, when in enumerate(pd.date_range("2025-01-01", periods=40)):
        append_history(frame(1, 100 + 5 * number).assign(time=when), tmp_path)
    history = read_history(tmp_path)
    assert len(history) == 40
    assert fit(history).rates["per_day"].tolist() == [5.0]
    assert len(read_history(tmp_path, start="2025-01-03", end="2025-01-05")) == 3
    assert max(path.name[:15] for path in tmp_path.iterdir()) == "000040-20250209"


def test_a_cluster_is_appended_as_it_is_read(tmp_path) -> None:
    append_history(CLUSTER, tmp_path, time=day(1))
    history = read_history(tmp_path)
    used = history.set_index("metric")[["used", "usable"]]
    assert used.loc["node blocks"].tolist() == [0, 256]
    assert used.loc["service addresses"].tolist() == [1, 254]
    assert used.loc["services", "used"] == 1
    assert history.equals(read_history(tmp_path))


def test_what_was_read_is_appended_and_read_the_same(tmp_path) -> None:
    append_history(examples.nearly_full(), tmp_path / "a", time=day(1))
    first = read_history(tmp_path / "a")
    append_history(first, tmp_path / "b")
    assert read_history(tmp_path / "b").equals(first)


def test_the_same_append_twice_is_one_and_the_newer_counts(tmp_path) -> None:
    names = [append_history(frame(1, value), tmp_path) for value in (10, 10, 4)]
    assert names[0] == names[1] != names[2]
    history = read_history(tmp_path)
    assert history["value"].tolist() == [4]
    assert [each["rule"] for each in history.attrs["findings"]] == ["history-duplicate"]


KILLED = """
import os, signal, sys
from pathlib import Path
import pandas as pd
from dsmodel.io.history import append_history

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

{where}
append_history(pd.DataFrame({{"time": ["2026-01-02"], "metric": ["pods"], "value": [11]}}), sys.argv[1])
"""
HALF = """
opened = Path.open
class Half:
    def __init__(self, file): self.file = file
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def write(self, content):
        self.file.write(content[: len(content) // 2]); self.file.flush(); die()
Path.open = lambda self, *mode: Half(opened(self, *mode)) if self.name.endswith(".draft") else opened(self, *mode)
"""


@pytest.mark.parametrize(
    ("where", "why"),
    [
        (HALF, "half of the file is written"),
        ("os.fsync = die", "the file is written and not yet on the disk"),
        ("Path.replace = die", "the file has not its name yet"),
    ],
)
def test_a_writer_that_is_killed_leaves_what_was_there(tmp_path, where, why) -> None:
    append_history(frame(1, 10), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    code = textwrap.dedent(KILLED).format(where=where)
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert {name: (tmp_path / name).read_bytes() for name in before} == before, why
    history = read_history(tmp_path)
    assert history["value"].tolist() == [10], why
    assert [each["rule"] for each in history.attrs["findings"]] == ["history-draft"]
    append_history(frame(2, 11), tmp_path)
    assert read_history(tmp_path)["value"].tolist() == [10, 11]


def test_a_first_append_that_is_killed_leaves_nothing_to_read(tmp_path) -> None:
    code = textwrap.dedent(KILLED).format(where="Path.replace = die")
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=False)
    with pytest.raises(InvalidInput, match="holds no whole Parquet file"):
        read_history(tmp_path)


def test_writers_at_once_lose_nothing(tmp_path) -> None:
    code = (
        "import sys, pandas as pd\nfrom dsmodel.io.history import append_history\n"
        "for day in range(1, 6):\n    append_history(pd.DataFrame({'time': [f'2026-0{sys.argv[2]}-0{day}'],"
        " 'metric': 'pods', 'value': [day]}), sys.argv[1])\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(month)]) for month in (1, 2)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert read_history(tmp_path)["value"].tolist() == [1, 2, 3, 4, 5] * 2


@pytest.mark.parametrize(
    ("history", "time", "message"),
    [
        (CLUSTER, None, "a cluster carries no date"),
        (CLUSTER, "soon", "time='soon': needs a time"),
        (CLUSTER, 20260101, "needs a time"),
        (frame(1, 2), day(1), "give it for a frame without a column time"),
        (frame(1, 2).drop(columns="time"), None, "give it for a frame without a column time"),
        (frame(1, -2), None, "is negative"),
        (frame(1, 2).iloc[:0], None, "has no row"),
        ([1], None, "history is a list; give a Cluster"),
    ],
)
def test_what_cannot_be_appended_writes_nothing(tmp_path, history, time, message) -> None:
    with pytest.raises(InvalidInput, match=message):
        append_history(history, tmp_path / "folder", time=time)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_and_nothing_is_left(tmp_path, monkeypatch) -> None:
    append_history(frame(1, 10), tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unreachable, match="cannot be written: No space left on device; nothing has changed"):
        append_history(frame(2, 11), tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_places_that_are_none(tmp_path) -> None:
    file = tmp_path / "file.parquet"
    frame(1, 3).to_parquet(file)
    assert read_history(file)["value"].tolist() == [3]
    with pytest.raises(InvalidInput, match="is a file; name a folder"):
        append_history(frame(2, 4), file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidInput, match=r"file\.parquet: is no whole Parquet file"):
        read_history(tmp_path)


def test_folders_of_other_programs(tmp_path) -> None:
    for month in (1, 2):
        folder = tmp_path / f"month={month}"
        folder.mkdir()
        days = pd.date_range(f"2026-0{month}-01", periods=3, tz="Europe/Berlin")
        pd.DataFrame({"time": days, "pool": "pods", "used": np.arange(3)}).to_parquet(folder / "part.parquet")
    (tmp_path / "_SUCCESS").touch()
    history = read_history(tmp_path)
    assert len(history) == 6
    assert history["time"].iloc[0] == pd.Timestamp("2025-12-31 23:00", tz="UTC")


def test_a_file_of_our_columns_and_other_types_is_read_or_named(tmp_path) -> None:
    append_history(frame(1, 3), tmp_path)
    table = pd.read_parquet(next(tmp_path.iterdir()))
    table.assign(time="2026-01-02", used="4").to_parquet(tmp_path / "other.parquet")
    assert read_history(tmp_path)["value"].tolist() == [3, 4]
    table.assign(time="2026-01-02", used="many").to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InvalidInput, match=r"other\.parquet, used, row 1: 'many' is no number"):
        read_history(tmp_path)


def test_a_url_goes_through_fsspec() -> None:
    import fsspec

    place = "memory://dsmodel-history"
    try:
        assert append_history(frame(1, 10), place) == append_history(frame(1, 10), place)
        append_history(frame(2, 11), place)
        assert read_history(place)["value"].tolist() == [10, 11]
        names = fsspec.filesystem("memory").ls("/dsmodel-history", detail=False)
        assert len(names) == 2
        assert all(name.endswith(".parquet") for name in names)
    finally:
        fsspec.filesystem("memory").rm("/dsmodel-history", recursive=True)
    with pytest.raises(InvalidInput, match="holds no whole Parquet file"):
        read_history(place)


@pytest.fixture
def store(tmp_path):
    """A folder that a server of FTP on loopback shares, and its URL."""
    folder, port = tmp_path / "shared", free_port()
    folder.mkdir()
    options = ("-i", "127.0.0.1", "-p", str(port), "-u", "user", "-P", "secret", "-w", "-d", str(folder))
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen([sys.executable, "-m", "pyftpdlib", *options], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=2).close()
                    break
                except OSError as error:
                    if server.poll() is not None or time.monotonic() > deadline:
                        raise AssertionError((tmp_path / "server.log").read_text()) from error
                    time.sleep(0.1)
            yield folder / "history", f"ftp://user:secret@127.0.0.1:{port}/history"
        finally:
            server.terminate()
            server.wait(timeout=30)


def test_a_server_elsewhere_keeps_the_same_files(store, tmp_path) -> None:
    folder, url = store
    with pytest.raises(InvalidInput, match="holds no whole Parquet file"):
        read_history(url)
    assert append_history(frame(1, 10), url) == append_history(frame(1, 10), url)
    append_history(frame(2, 11), url)
    append_history(frame(1, 10), tmp_path / "here")
    append_history(frame(2, 11), tmp_path / "here")
    assert read_history(url).equals(read_history(tmp_path / "here"))
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in (tmp_path / "here").iterdir())


HALF_SENT = """
from fsspec.implementations.ftp import FTPFile
def half(self, final=False):
    self.fs.ftp.storbinary("STOR " + self.path, io.BytesIO(self.buffer.getvalue()[:500])); die()
FTPFile._upload_chunk = half
"""
NOT_NAMED = "from fsspec.implementations.ftp import FTPFileSystem; FTPFileSystem.mv = die"


@pytest.mark.parametrize(("where", "size"), [(HALF_SENT, 500), (NOT_NAMED, None)], ids=["half sent", "not yet named"])
def test_a_writer_elsewhere_that_is_killed_leaves_what_was_there(store, where, size) -> None:
    folder, url = store
    append_history(frame(1, 10), url)
    code = "import io" + textwrap.dedent(KILLED).format(where=where)
    run = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=False)
    assert run.returncode == -signal.SIGKILL, run.stderr
    (draft,) = folder.glob(".*.draft")
    assert size is None or draft.stat().st_size == size
    history = read_history(url)
    assert history["value"].tolist() == [10]
    assert [each["rule"] for each in history.attrs["findings"]] == ["history-draft"]
    append_history(frame(2, 11), url)
    assert read_history(url)["value"].tolist() == [10, 11]


def test_a_store_that_does_not_answer_is_named_without_its_password(store) -> None:
    _, url = store
    wrong = url.replace("secret", "guessed")
    for act in (read_history, lambda place: append_history(frame(1, 10), place)):
        with pytest.raises(
            Unreachable, match=r"ftp://127\.0\.0\.1:\d+/history: cannot be read or written: 530"
        ) as error:
            act(wrong)
        assert "guessed" not in str(error.value)
    with pytest.raises(Unreachable, match="Connection refused"):
        read_history(f"ftp://user:secret@127.0.0.1:{free_port()}/history")


def test_a_url_of_no_kind_and_no_fsspec(monkeypatch) -> None:
    with pytest.raises(InvalidInput, match="nosuch://"):
        read_history("nosuch://bucket/history")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingDependency, match="pip install"):
        append_history(frame(1, 10), "s3://bucket/history")
