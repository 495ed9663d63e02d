"""An object store as source and as workspace: a real S3 server on loopback."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import fsspec
import pytest
from conftest import encoded, picture

from curation.params import CurationParams, IndexParams, PackParams
from curation.sources import source_at
from flows import pipeline
from flows.recipe import Recipe
from flows.session import Session, Silent
from shared.executors import Inline
from shared.storage import Store


@pytest.fixture(scope="module")
def bucket():
    pytest.importorskip("moto")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        for _ in range(200):
            try:
                urllib.request.urlopen(settings["AWS_ENDPOINT_URL"], timeout=1).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        fsspec.filesystem("s3").mkdir("images")
        yield "s3://images"
        server.terminate()
        server.wait(10)
    for name, value in before.items():
        if value is None:
            os.environ.pop(name)
        else:
            os.environ[name] = value
    fsspec.filesystem("s3").clear_instance_cache()


def curate(source: str, workspace: str):
    curation = CurationParams(index=IndexParams(part_images=16), pack=PackParams(shard_images=16))
    recipe = Recipe(sources=(source_at(source),), curation=curation)
    return pipeline.curate(Session(recipe, Store(workspace), Inline(), Silent()))


def test_images_and_workspace_may_both_be_in_an_object_store(bucket):
    files = {f"cats/{i}.jpg": encoded(picture(i)) for i in range(30)}
    files["cats/copy.jpg"] = files["cats/0.jpg"]
    for name, data in files.items():
        fsspec.filesystem("s3").pipe_file(f"images/raw/{name}", data)
    dataset, new = curate(f"{bucket}/raw", f"{bucket}/workspace")
    assert new
    assert dataset.info["counts"]["kept"] == 30
    assert dataset.info["counts"]["reasons"] == {"exact_duplicate": 1}
    for row in dataset.table("manifest").to_pylist():
        name = row["uri"].removeprefix("s3://images/raw/")
        assert dataset.read(row["shard"], row["offset"], row["length"]) == files[name]
    assert dataset.store.exists("report.html")
    assert curate(f"{bucket}/raw", f"{bucket}/workspace")[1] is False
