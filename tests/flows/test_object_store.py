"""An object store as source and as workspace: a real S3 server on loopback."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import encoded, picture

from curation.params import CurationParams, IndexParams, PackParams
from curation.publish.append.draft import Draft
from curation.sources import source_at
from curation.sources.reading import UnreadableError, read_bytes
from flows import pipeline
from flows.inspect.shards import list_shards
from flows.inspect.verify import verify
from flows.recipe.recipe import Recipe, load_recipe
from flows.session import Session
from shared.dataset_version import open_version, versions
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.storage import Store
from shared.storage.checked_json import json_text
from tests.command_line import process_alone_of, process_of
from tests.object_store import client_settings
from tests.ports import free_port
from tests.publishers import at_once
from tests.waiting import started
from training.eval.params import score_fingerprint
from training.stages import evaluate


@pytest.fixture(scope="module")
def bucket():
    pytest.importorskip("moto")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    settings = client_settings(port)
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    with started(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        for _ in range(200):
            try:
                urllib.request.urlopen(settings["AWS_ENDPOINT_URL"], timeout=1).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        fsspec.filesystem("s3").mkdir("images")
        yield "s3://images"
    for name, value in before.items():
        if value is None:
            os.environ.pop(name)
        else:
            os.environ[name] = value
    fsspec.filesystem("s3").clear_instance_cache()


def curate(sources: list[str], workspace: str):
    curation = CurationParams(index=IndexParams(part_images=16), pack=PackParams(shard_images=16))
    recipe = Recipe(sources=tuple(source_at(url) for url in sources), curation=curation)
    return pipeline.curate(Session(recipe, Store(workspace), Inline(), Silent()))


def test_images_and_workspace_may_both_be_in_an_object_store(bucket):
    files = {f"cats/{i}.jpg": encoded(picture(i)) for i in range(30)}
    files["cats/copy.jpg"] = files["cats/0.jpg"]
    for name, data in files.items():
        fsspec.filesystem("s3").pipe_file(f"images/raw/{name}", data)
    dataset, new = curate([f"{bucket}/raw"], f"{bucket}/workspace")
    assert new
    assert dataset.info["counts"]["kept"] == 30
    assert dataset.info["counts"]["reasons"] == {"exact_duplicate": 1}
    for row in dataset.table("manifest").to_pylist():
        name = row["uri"].removeprefix("s3://images/raw/")
        assert dataset.read(row["shard"], row["offset"], row["length"]) == files[name]
    assert dataset.store.exists("report.html")
    assert curate([f"{bucket}/raw"], f"{bucket}/workspace")[1] is False


def test_where_nothing_is_new_in_an_object_store_a_command_says_so_and_starts_neither_prefect_nor_a_process(bucket):
    for i in range(16):
        put(f"still/{i}.jpg", encoded(picture(i)))
    recipe = load_recipe("laptop", settings=[], sources=[f"{bucket}/still"], name="pets")
    store = Store(f"{bucket}/unmoved")
    session = Session(recipe, store, Inline(), Silent())
    dataset, _ = pipeline.curate(session)
    run = pipeline.run_of(session, dataset)
    put_finished_run(store, run, {"params": recipe.training.model_dump(mode="json"), "dataset": "pets v0001"})
    words = ("laptop", "--workspace", store.url, "--name", "pets", "--json")
    told = json.loads(process_of("status", *words, "--source", f"{bucket}/still").stdout)
    assert (told["pretrain"]["done"], told["evaluate"]["unscored"], told["finished"]) == (True, [20], False)
    fingerprint = score_fingerprint(evaluate.version, recipe.evaluation, dataset)
    facts = {"run": run, "step": 20, "fingerprint": fingerprint, "dataset": "pets v0001", "scores": [], "baselines": {}}
    store.write(f"evaluations/{run}/20.json", json_text(facts))
    before = written(store)
    for command in (("run", *words, "--source", f"{bucket}/still"), ("pretrain", *words), ("evaluate", *words)):
        told = process_alone_of(*command)
        assert told.returncode == 0, told.stderr
        assert "Nothing is left to do" in told.stderr
        assert json.loads(told.stdout)["run"] == run
    assert written(store) == before


def put_finished_run(store: Store, run: str, config: dict) -> None:
    """Write the files of a run of 20 steps."""
    summary = {"steps": 20, "images_seen": 1280, "seconds": 9, "images_per_second": 142, "skipped_steps": 0}
    checkpoint = f"runs/{run}/checkpoints/step-00000020"
    about = {"summary": summary, "sha256": hashlib.sha256(b"weights").hexdigest()}
    store.write(f"{checkpoint}/state.pt", b"weights")
    store.write(f"{checkpoint}/checkpoint.json", json.dumps(about))
    store.write(f"runs/{run}/config.json", json.dumps(config))


def written(store: Store) -> set:
    store.fs.invalidate_cache()
    results = ("datasets", "evaluations", "runs")
    files = (store.fs.find(store.path(folder), detail=True) for folder in results)
    return {(name, facts["LastModified"]) for found in files for name, facts in found.items()}


def put(name: str, data: bytes) -> None:
    fsspec.filesystem("s3").pipe_file(f"images/{name}", data)


def tar_of(files: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return sink.getvalue()


def parquet_of(data: list[bytes]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"image": pa.array(data, pa.binary())}), sink, row_group_size=5)
    return sink.getvalue()


def test_tars_tables_and_lists_in_an_object_store_are_curated_as_a_folder_is(bucket):
    data = [encoded(picture(i)) for i in range(24)]
    for i in range(2):
        put(f"shards/{i}.tar", tar_of({f"{k}.jpg": data[k] for k in range(4 * i, 4 * i + 4)} | {f"{4 * i}.cls": b"a"}))
        put(f"tables/{i}.parquet", parquet_of(data[8 + 4 * i : 12 + 4 * i]))
    for i in range(16, 24):
        put(f"loose/{i}.jpg", data[i])
    put("loose/all.txt", "\n".join(f"{i}.jpg\tclass{i}" for i in range(16, 24)).encode())
    dataset, _ = curate([f"{bucket}/{name}" for name in ("shards", "tables", "loose/all.txt")], f"{bucket}/mixed")
    kept = dataset.table("manifest").to_pylist()
    assert sorted(dataset.read(row["shard"], row["offset"], row["length"]) for row in kept) == sorted(data)
    told = {row["uri"]: (row["source"], row["label"]) for row in kept}
    assert told[f"{bucket}/shards/1.tar#4.jpg"] == ("shards", "a")
    assert told[f"{bucket}/tables/1.parquet#3"] == ("tables", None)
    assert told[f"{bucket}/loose/20.jpg"] == ("all.txt", "class20")


def test_a_tar_of_tars_in_an_object_store_is_listed_and_read_where_it_lies(bucket):
    data = [encoded(picture(i)) for i in range(24)]
    put("nested/whole.tar", tar_of({f"n{i:08d}.tar": tar_of({f"{i}.jpg": data[i]}) for i in range(24)}))
    table = pa.concat_tables(source_at(f"{bucket}/nested").tables(100))
    assert table["label"].to_pylist() == [f"n{i:08d}" for i in range(24)]
    assert list(read_bytes(table)) == data


def test_what_is_added_to_a_bucket_is_seen_by_the_next_listing(bucket):
    put("growing/1.jpg", encoded(picture(1)))
    source = source_at(f"{bucket}/growing")
    assert sum(part.num_rows for part in source.tables(100)) == 1
    # Another process, because this one would remember what it wrote itself.
    subprocess.run([sys.executable, "-c", ADD], check=True, timeout=60)
    assert sum(part.num_rows for part in source.tables(100)) == 2


ADD = "import fsspec; fsspec.filesystem('s3').pipe_file('images/growing/2.jpg', b'another')"


def test_missing_empty_and_cut_objects_are_errors_in_their_place(bucket):
    put("odd/empty.jpg", b"")
    put("odd/good.jpg", encoded(picture(1)))
    put("odd/short.jpg", encoded(picture(2)))
    put("odd/list.txt", b"empty.jpg\ngood.jpg\nshort.jpg\nmissing.jpg\n")
    table = pa.concat_tables(source_at(f"{bucket}/odd/list.txt").tables(100))
    put("odd/short.jpg", b"short")
    empty, good, short, missing = read_bytes(table)
    assert empty == b"" or isinstance(empty, UnreadableError)
    assert good == encoded(picture(1))
    assert "cut short" in str(short)
    assert "FileNotFoundError" in str(missing)
    unknown = table.set_column(table.schema.get_field_index("length"), "length", pa.nulls(4, pa.int64()))
    assert list(read_bytes(unknown))[1] == good


def published(source: str, workspace: str):
    curation = CurationParams(index=IndexParams(part_images=16), pack=PackParams(shard_images=16))
    recipe = Recipe(name="pets", sources=(source_at(source),), curation=curation)
    work = Session(recipe, Store(workspace), Inline(), Silent())
    return pipeline.made_version(work)[0]


def test_a_dataset_that_grows_in_an_object_store_copies_no_shard(bucket):
    for i in range(30):
        put(f"grows/{i}.jpg", encoded(picture(i)))
    first = published(f"{bucket}/grows", f"{bucket}/growth")
    shards = Store(f"{bucket}/growth/datasets/pets/shards")
    before = {name: shards.fs.info(shards.path(name))["LastModified"] for name in first.info["shards"]}
    put("grows/900.jpg", encoded(picture(900)))
    fsspec.filesystem("s3").rm_file("images/grows/3.jpg")
    fsspec.filesystem("s3").invalidate_cache()
    second = published(f"{bucket}/grows", f"{bucket}/growth")
    assert {name: shards.fs.info(shards.path(name))["LastModified"] for name in before} == before
    assert len(second.info["shards"]) == len(before) + 1
    Store(f"{bucket}/growth").delete("datasets/pets/v0001")
    for row in second.table("manifest").to_pylist():
        name = row["uri"].removeprefix(f"{bucket}/")
        assert second.read(row["shard"], row["offset"], row["length"]) == fsspec.filesystem("s3").cat(f"images/{name}")
    assert verify(f"{bucket}/growth", "pets/v0002", json=True)["damaged"] == []
    assert {shard["path"] for shard in list_shards(f"{bucket}/growth", "pets", None, json=True)["shards"]} == {
        f"{shards.url}/{name}" for name in second.info["shards"]
    }


def test_of_several_who_claim_a_version_in_an_object_store_each_gets_another(bucket):
    store = Store(f"{bucket}/claims")
    with ThreadPoolExecutor(4) as threads:
        drafts = list(threads.map(lambda _: Draft.begin(store, "pets"), range(4)))
    assert sorted(draft.folder for draft in drafts) == [f"datasets/pets/v{i:04d}" for i in range(1, 5)]
    assert versions(store, "pets") == []
    assert drafts[2].publish({"name": "pets"}).version == drafts[2].folder[-5:]
    drafts[0].discard()
    assert versions(store, "pets") == [drafts[2].folder[-5:]]


def test_publishers_that_meet_in_an_object_store_get_a_version_each(bucket, tmp_path):
    for i in range(12):
        put(f"meet/{i}.jpg", encoded(picture(i, (60, 40 + i))))
    at_once(f"{bucket}/meet", f"{bucket}/meeting", (1, 46))
    store = Store(f"{bucket}/meeting")
    made = [open_version(store, "pets", version) for version in versions(store, "pets")]
    assert sorted(dataset.info["counts"]["kept"] for dataset in made) == [6, 12]
    for dataset in made:
        assert verify(store.url, f"pets/{dataset.version}", json=True)["damaged"] == []
    assert store.names("locks/dataset-pets") == []
