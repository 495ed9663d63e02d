import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.errors import DamagedFileError, WorkspaceError
from shared.storage import SCRATCH, Store
from shared.storage.checked import read_table, write_table


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path):
    return Store(str(tmp_path / "w") if request.param == "local" else f"memory://w{tmp_path.name}")


def test_a_file_appears_whole_or_not_at_all(store):
    def write_and_fail():
        with store.commit("a/b.txt") as draft:
            draft.write_text("half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert not store.exists("a/b.txt")
    assert store.names("a") == []
    store.write("a/b.txt", "whole")
    assert store.read("a/b.txt") == b"whole"


def test_a_range_is_a_pread(store):
    store.write("numbers", bytes(range(100)))
    assert store.read_range("numbers", 10, 5) == bytes(range(10, 15))


def test_a_linked_file_stands_under_both_names(store):
    store.write("first", "same")
    store.link("first", "folder/second")
    store.link("first", "folder/second")
    assert store.read("folder/second") == b"same"
    assert store.names("folder") == ["second"]


@pytest.mark.parametrize("name", ["odd::name", "odd [1]", "odd #1", "odd %41", "odd*?"])
def test_a_folder_may_have_any_name(tmp_path, name):
    where = Store(f"{tmp_path}/{name}/w")
    where.write("a/b.txt", b"1")
    assert (tmp_path / name / "w/a/b.txt").read_bytes() == b"1"
    assert where.names("a") == ["b.txt"]


def test_a_workspace_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WorkspaceError, match="must be writable"):
        Store(str(tmp_path / "file")).write("x", "y")


def test_arrow_reads_this_machines_files_without_python_and_others_all_the_same(tmp_path):
    """A thread of Arrow that drops a Python file while the interpreter ends aborts the process, now and then."""
    table = pa.table({"uri": ["a", "b"]})
    for url in (str(tmp_path), "memory://arrow"):
        store = Store(url)
        with store.commit("part.parquet") as draft:
            pq.write_table(table, draft)
        with store.open_arrow("part.parquet") as file:
            assert isinstance(file, pa.OSFile) == store.local
            assert pq.read_table(file).equals(table)


def test_a_table_is_read_in_the_order_that_was_asked_for_and_a_column_that_it_lacks_is_damage(tmp_path):
    store, table = Store(str(tmp_path)), pa.table({"a": [1, 2], "b": [[1.0], [2.0]], "word": pa.array(["x", "y"])})
    write_table(store, "t.parquet", table)
    assert read_table(store, "t.parquet") == table
    assert read_table(store, "t.parquet", columns=["b", "a"]) == table.select(["b", "a"])
    assert read_table(store, "t.parquet", columns=["word"], filters=[("a", "=", 2)])["word"].to_pylist() == ["y"]
    with pytest.raises(DamagedFileError, match="has no column c"):
        read_table(store, "t.parquet", columns=["a", "c"])


def test_what_lasts_is_brought_to_the_disk_and_what_a_run_deletes_is_not(tmp_path, monkeypatch):
    synced: list[int] = []
    monkeypatch.setattr("shared.storage.files.os.fsync", synced.append)
    store = Store(str(tmp_path))
    store.write(f"stages/candidates/{SCRATCH}0123/found.parquet", b"passing")
    assert not synced
    store.write("stages/candidates/0123.parquet", b"lasting")
    store.create("stages/candidates/0123.json", b"lasting")
    assert len(synced) == 2
