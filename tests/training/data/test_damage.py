"""Damaged images in training: found by their digest, named, replaced by a fixed choice, and too many end the run."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from shared.dataset_version import Published
from shared.errors import WorkFailedError
from shared.params import Compute
from tests.training.publishing import invented, publish
from training.data import damage
from training.data.dataset import Samples
from training.data.index import SampleIndex, SampleRef
from training.data.loader import batches
from training.distributed import DistributedContext
from training.params import PretrainParams
from training.params.resolved import resolved
from training.stages import pretrain

ON_CPU = Compute(device="cpu", workers=1)
ALONE = DistributedContext(torch.device("cpu"), 0, 1)


def zeroed(dataset: Published, ref: SampleRef, count: int = 64) -> None:
    """Overwrite some bytes in the middle of an image: decoders may not mind."""
    shard = Path(dataset.shards.path(ref.shard))
    whole = bytearray(shard.read_bytes())
    middle = ref.offset + ref.length // 2
    whole[middle : middle + count] = bytes(count)
    shard.write_bytes(whole)


def test_every_kind_of_damage_is_told_apart(params: PretrainParams, dataset: Published) -> None:
    samples, refs = Samples(dataset, params), SampleIndex(dataset, 0).refs([0, 1])
    with pytest.raises(damage.DamagedImageError, match=r"its shard ends after \d+ of its 99999999 bytes"):
        samples[refs[0]._replace(length=99999999)]
    zeroed(dataset, refs[0])
    with pytest.raises(damage.DamagedImageError, match="another digest than those that were published"):
        samples[refs[0]]
    Path(dataset.shards.path(refs[1].shard)).unlink()
    with pytest.raises(damage.DamagedImageError, match="its shard is gone"):
        samples[refs[1]]


def steps(dataset: Published, params: PretrainParams, workers: int, world: int = 1) -> list[torch.Tensor]:
    index = SampleIndex(dataset, params.seed)
    ranks = [
        list(batches(index, resolved(params, len(index)), start=0, context=context, workers=workers))
        for context in (DistributedContext(torch.device("cpu"), rank, world) for rank in range(world))
    ]
    views = params.crops.global_count
    return [
        torch.cat([batch.global_crops.view(views, -1, *batch.global_crops.shape[1:]) for batch in step], dim=1)
        for step in zip(*ranks, strict=True)
    ]


def test_a_damaged_image_is_replaced_by_the_same_other_whoever_reads_it(
    params: PretrainParams, dataset: Published
) -> None:
    before = steps(dataset, params, workers=0)
    zeroed(dataset, SampleIndex(dataset, 0).refs([9])[0])
    alone = steps(dataset, params, workers=0)
    changed = [
        (step, slot)
        for step in range(4)
        for slot in range(8)
        if not torch.equal(before[step][:, slot], alone[step][:, slot])
    ]
    assert changed == [(1, 1)]
    for others in (steps(dataset, params, workers=2), steps(dataset, params, workers=0, world=2)):
        assert all(torch.equal(a, b) for a, b in zip(alone, others, strict=True))


def test_a_run_names_and_counts_damage_and_ends_well(
    params: PretrainParams, dataset: Published, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    index = SampleIndex(dataset, 0)
    ref, other = index.refs([9])[0], index.refs([12])[0]
    zeroed(dataset, ref)
    zeroed(dataset, other)
    done = pretrain(dataset, params=params, compute=ON_CPU, workspace=tmp_path, run="run")
    assert done["damaged_images"] == 2
    said, (uri,) = capfd.readouterr().out, index.uris([ref.row])
    assert f"{uri} is damaged: its bytes have another digest than those that were published ({ref.shard}, byte" in said


def test_a_run_whose_shards_are_gone_ends_in_a_sentence(tiny: dict[str, Any], tmp_path: Path) -> None:
    dataset = publish(tmp_path, invented(60, classes=4))
    Path(dataset.shards.path("shard-00000.tar")).unlink()
    params = PretrainParams.model_validate(tiny | {"knn_every": 2})
    with pytest.raises(WorkFailedError, match=r"^Training needs images as they were published, got \d+ damaged"):
        pretrain(dataset, params=params, compute=ON_CPU, workspace=tmp_path, run="run")


def test_an_index_travels_to_another_process(dataset: Published) -> None:
    index = SampleIndex(dataset, 3)
    there = pickle.loads(pickle.dumps(index))
    assert there.refs(list(range(20))) == index.refs(list(range(20)))
