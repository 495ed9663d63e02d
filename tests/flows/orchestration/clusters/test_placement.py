"""Which worker gets which work: told to the engines as resources. No GPU is needed to see where work would go."""

from importlib.util import find_spec

import pytest

from flows.orchestration.clusters.offers import within
from shared.launch.gpus import CORES, VISIBLE
from shared.params import Resources

on_dask = pytest.mark.skipif(not find_spec("prefect_dask"), reason="needs dinoflow[dask]")
on_ray = pytest.mark.skipif(not find_spec("prefect_ray"), reason="needs dinoflow[ray]")


def test_needs_that_no_worker_can_meet_are_met_as_far_as_one_can():
    assert within(Resources(gpu=True, memory=64), gpus=0, memory=8) == Resources(gpu=False, memory=8)
    assert within(Resources(gpu=True, memory=4), gpus=2, memory=8) == Resources(gpu=True, memory=4)


@on_dask
def test_dask_has_a_worker_for_each_core_and_one_for_each_gpu_which_sees_it_alone():
    from flows.orchestration.clusters.dask_cluster import worker_specs

    options = {name: spec["options"] for name, spec in worker_specs(4, ("2", "7"), memory=60).items()}
    assert {name: one["env"].get(VISIBLE) for name, one in options.items()} == {
        **{f"core {i}": "" for i in range(4)},
        "GPU 0": "2",
        "GPU 1": "7",
    }
    assert options["core 0"]["resources"] == {"MEMORY": 10}
    assert options["GPU 1"]["resources"] == {"GPU": 1, "MEMORY": 10}
    assert options["GPU 1"]["env"][CORES] == "2"


@on_dask
def test_dask_holds_what_workers_declare_and_nothing_that_none_does():
    from flows.orchestration.clusters.dask_cluster import resources_of

    needs = Resources(gpu=True, memory=4)
    assert resources_of(needs, [{"MEMORY": 3}, {"GPU": 1, "MEMORY": 30}]) == {"GPU": 1, "MEMORY": 4}
    assert resources_of(needs, [{"MEMORY": 3}, {"MEMORY": 2}]) == {"MEMORY": 3}
    assert resources_of(needs, [{}, {}]) == {}
    assert resources_of(Resources(), [{"GPU": 1, "MEMORY": 30}]) == {}


@on_ray
def test_ray_sets_aside_a_gpu_with_its_share_of_cores_and_memory_in_bytes():
    from flows.orchestration.clusters.ray_cluster import options_of

    nodes = [{"CPU": 16.0, "GPU": 4.0, "memory": 64.0 * 2**30}, {"CPU": 8.0, "memory": 2.0 * 2**30}]
    held = options_of(Resources(gpu=True, memory=4), nodes)
    assert (held["num_cpus"], held["num_gpus"], held["memory"]) == (4, 1, 4 * 2**30)
    assert held["runtime_env"]["env_vars"] == {CORES: "4"}
    assert options_of(Resources(), nodes) == {"num_cpus": 1, "num_gpus": 0, "memory": 0}
    assert options_of(Resources(gpu=True, memory=4), nodes[1:]) == {"num_cpus": 1, "num_gpus": 0, "memory": 2 * 2**30}
