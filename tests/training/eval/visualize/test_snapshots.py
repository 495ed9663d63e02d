"""What a checkpoint sees in a few images, as arrays: colours that can be compared, attention, neighbours."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from shared.dataset_version import Published
from shared.storage import Store
from tests.training.publishing import invented, publish
from training.data.published_images import load_images
from training.eval.visualize import pca
from training.eval.visualize.attention import tokens_and_attention
from training.eval.visualize.make_snapshots import NEIGHBOURS, SIDE, SnapshotImages
from training.eval.visualize.snapshot import Snapshot, read_snapshots, shares, written
from training.model.vit import Backbone
from training.params import ModelParams, PretrainParams


def test_components_are_those_of_a_singular_value_decomposition_over_all_images() -> None:
    x_BND = np.random.default_rng(0).normal(size=(3, 20, 6)) * [5, 4, 3, 1, 1, 1]
    scores_PK = pca.projected(x_BND).reshape(-1, 3)
    x_PD = x_BND.reshape(-1, 6) - x_BND.reshape(-1, 6).mean(axis=0)
    left_PD, _, _ = np.linalg.svd(x_PD, full_matrices=False)
    assert scores_PK.std(axis=0) == pytest.approx([1, 1, 1])
    for k in range(3):
        assert abs(np.corrcoef(scores_PK[:, k], left_PD[:, k])[0, 1]) == pytest.approx(1)


def test_components_in_any_order_and_of_any_sign_become_those_of_the_reference() -> None:
    reference = np.random.default_rng(0).normal(size=(2, 30, 3))
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            assert np.allclose(pca.aligned(reference[..., list(order)] * signs, reference), reference)


def test_the_foreground_is_what_stands_in_the_middle_whatever_the_sign_of_the_component() -> None:
    first_BHW = np.random.default_rng(0).normal(0, 0.1, (4, 16, 16))
    first_BHW[:, 5:11, 5:11] += 2
    wanted = np.zeros((4, 16, 16), dtype=bool)
    wanted[:, 5:11, 5:11] = True
    assert np.array_equal(pca.foreground(first_BHW), wanted)
    assert np.array_equal(pca.foreground(-first_BHW), wanted)


@pytest.mark.parametrize("registers", [0, 3])
def test_attention_equals_its_slow_loop(registers: int) -> None:
    torch.manual_seed(0)
    backbone = Backbone(ModelParams(patch_size=8, width=12, depth=2, heads=3, registers=registers), 32).eval()
    images = torch.randn(2, 3, 32, 32)
    tokens, attention_BhN = tokens_and_attention(backbone, images)
    assert torch.equal(tokens.cls, backbone(images).cls)
    x_BTD = backbone.vit._pos_embed(backbone.vit.patch_embed(images))
    qkv_BT3hE = None
    with torch.no_grad():
        first, last = backbone.vit.blocks
        qkv_BT3hE = last.attn.qkv(last.norm1(first(x_BTD))).view(2, -1, 3, 3, 4)
    for b, h in itertools.product(range(2), range(3)):
        weights = [float(torch.exp(qkv_BT3hE[b, 0, 0, h] @ k_E / 2)) for k_E in qkv_BT3hE[b, :, 1, h]]
        expected = [weight / sum(weights) for weight in weights][1 + registers :]
        assert attention_BhN[b, h].tolist() == pytest.approx(expected, rel=1e-4)
    assert not backbone.vit.blocks[-1].attn.qkv._forward_hooks


def test_attention_is_written_in_even_shares() -> None:
    times = np.array([0.25, 0.5, 1, 2, 8, 100, 0])
    assert shares(written(times / 64, 64)) == pytest.approx([0.25, 0.5, 1, 2, 8, 8, 0.25], rel=0.01)


def snapshot_of(dataset: Published, params: PretrainParams) -> Snapshot:
    chosen = SnapshotImages.choose(dataset, 4, 0)
    backbone = Backbone(params.model, params.crops.global_size).eval()
    return chosen.snapshot(backbone, torch.randn(len(chosen.images), 8), 1.143)


def places(snapshot: Snapshot) -> list[tuple[str, int]]:
    return list(zip(snapshot.shard.tolist(), snapshot.offset.tolist(), strict=True))


def test_a_snapshot_shows_held_out_images_of_several_classes_beside_training_images(
    dataset: Published, params: PretrainParams, tmp_path: Path
) -> None:
    snapshot = snapshot_of(dataset, params)
    held_out = set(load_images(dataset, "held out").offset.tolist())
    assert {offset for _, offset in places(snapshot)[:4]} <= held_out
    assert not {offset for _, offset in places(snapshot)[4:]} & held_out
    assert len(set(snapshot.label[:4])) > 1
    assert snapshot.components.shape == (4, SIDE, SIDE, 3)
    assert snapshot.attention.shape == (4, 2, SIDE, SIDE)
    assert snapshot.neighbours.shape == (4, NEIGHBOURS)
    assert snapshot.neighbours.min() >= snapshot.subjects
    assert (np.diff(snapshot.cosine.astype(float), axis=1) <= 0).all()
    snapshot.write(Store(str(tmp_path)), "7")
    snapshot.write(Store(str(tmp_path)), "random_init")
    read = read_snapshots(Store(str(tmp_path)))
    assert list(read) == ["random_init", "7"]
    assert np.array_equal(read["7"].components, snapshot.components)
    assert read["7"].same_subjects(snapshot)
    assert (tmp_path / "pictures" / "7.npz").stat().st_size < 200_000


def test_without_labels_subjects_are_training_images_and_none_is_its_own_neighbour(
    params: PretrainParams, tmp_path: Path
) -> None:
    dataset = publish(tmp_path, [(None, image) for _, image in invented(30, 3)])
    snapshot = snapshot_of(dataset, params)
    assert not set(places(snapshot)[:4]) & set(places(snapshot)[4:])
    assert snapshot.neighbours.min() >= 4
    assert set(snapshot.label) == {""}


def test_neighbours_are_the_nearest_by_the_features_given(dataset: Published, params: PretrainParams) -> None:
    chosen = SnapshotImages.choose(dataset, 2, 0)
    features_ID = torch.zeros(len(chosen.images), 3)
    features_ID[:, 0] = 1
    features_ID[1, :] = torch.tensor([0.0, 1.0, 0.0])
    features_ID[7, :] = torch.tensor([0.0, 1.0, 0.1])
    snapshot = chosen.snapshot(Backbone(params.model, 32).eval(), features_ID, 1.143)
    assert places(snapshot)[snapshot.neighbours[1, 0]][1] == chosen.images.offset[7]
