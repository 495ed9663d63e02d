"""Where a command stands in a gang, by what clusters set; and what is said where something is missing."""

from pathlib import Path

import pytest

from shared.errors import RecipeError
from shared.launch.cluster.find_place import check_alone, check_one_machine, find_place
from shared.launch.cluster.place import Machine, Rank, is_here
from shared.launch.cluster.slurm import first_host, tasks_on_node
from shared.launch.command import command_of, environment_of
from shared.params import Compute

SLURM = {
    "SLURM_JOB_ID": "12345",
    "SLURM_STEP_ID": "0",
    "SLURM_NNODES": "4",
    "SLURM_NODEID": "2",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NODELIST": "gpu[03-06]",
    "SLURM_STEP_TASKS_PER_NODE": "1(x4)",
    "SLURM_GPUS_ON_NODE": "8",
}
INDEXED = {"JOB_COMPLETION_INDEX": "3", "PET_NNODES": "4", "MASTER_ADDR": "pretrain-machine-0-0.pretrain"}
TRAINJOB = {"PET_NNODES": "4", "PET_NODE_RANK": "1", "PET_MASTER_ADDR": "n0", "PET_MASTER_PORT": "29400"}
TRAINJOB |= {"PET_NPROC_PER_NODE": "8"}
BY_RANK = {"RANK": "9", "WORLD_SIZE": "16", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "8", "MASTER_ADDR": "n0"}
SLURM_RANKS = {"SLURM_STEP_NUM_TASKS": "32", "SLURM_PROCID": "17", "SLURM_LOCALID": "1"}
SLURM_RANKS |= {"SLURM_STEP_TASKS_PER_NODE": "8(x4)"}


@pytest.mark.parametrize(
    ("launcher", "environment", "place"),
    [
        ("local", SLURM, Machine()),
        ("slurm", SLURM, Machine(2, 4, "gpu03:17345", "gpu")),
        ("slurm", SLURM | {"MASTER_ADDR": "gpu03-ib", "MASTER_PORT": "7"}, Machine(2, 4, "gpu03-ib:7", "gpu")),
        ("slurm", SLURM | SLURM_RANKS, Rank(17, 32, 1, 8, "gpu03", 17345)),
        ("slurm", {"SLURM_JOB_ID": "1", "SLURM_JOB_NUM_NODES": "1"}, Machine()),
        ("env", TRAINJOB, Machine(1, 4, "n0:29400", "8")),
        ("env", INDEXED, Machine(3, 4, "pretrain-machine-0-0.pretrain:29500")),
        ("env", {"PET_NNODES": "1", "PET_NPROC_PER_NODE": "auto"}, Machine(processes="auto")),
        ("env", BY_RANK, Rank(9, 16, 1, 8, "n0", 29500)),
    ],
)
def test_a_command_finds_its_place_by_what_its_cluster_sets(launcher, environment, place):
    assert find_place(Compute(launcher=launcher), environment) == place


@pytest.mark.parametrize(
    ("launcher", "whole"), [("slurm", SLURM), ("env", TRAINJOB), ("env", INDEXED), ("env", BY_RANK)]
)
def test_each_variable_that_is_missing_is_named(launcher, whole):
    may_be_absent = {"SLURM_GPUS_ON_NODE", "PET_MASTER_PORT", "PET_NPROC_PER_NODE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"}
    may_be_absent |= {"SLURM_LOCALID", "SLURM_PROCID", "SLURM_STEP_TASKS_PER_NODE"}  # of a machine's only task
    for name in whole.keys() - may_be_absent - {"JOB_COMPLETION_INDEX"}:
        with pytest.raises(RecipeError, match=rf"launcher {launcher} needs .*{name}|got no {name}|needs .* RANK"):
            find_place(Compute(launcher=launcher), {key: value for key, value in whole.items() if key != name})


def test_a_variable_that_holds_no_number_is_named_with_what_it_holds():
    with pytest.raises(RecipeError, match=r"needs a whole number in SLURM_NODEID, got 'two'"):
        find_place(Compute(launcher="slurm"), SLURM | {"SLURM_NODEID": "two"})


def test_a_batch_script_on_several_machines_is_told_of_srun():
    with pytest.raises(RecipeError, match=r"a task on each of the 4 machines, got no SLURM_STEP_ID.*srun dinoflow"):
        find_place(Compute(launcher="slurm"), {"SLURM_JOB_ID": "1", "SLURM_JOB_NUM_NODES": "4"})


def test_one_of_several_commands_that_takes_itself_for_the_only_one_is_refused():
    with pytest.raises(RecipeError, match=r"got SLURM_STEP_NUM_TASKS=4. Set compute.launcher=slurm"):
        check_alone(Compute(), SLURM)
    with pytest.raises(RecipeError, match=r"got PET_NNODES=4. Set compute.launcher=env"):
        check_alone(Compute(), TRAINJOB)
    check_alone(Compute(), {"SLURM_STEP_NUM_TASKS": "1", "PET_NNODES": "1"})


def test_what_also_curates_is_refused_on_several_machines(monkeypatch):
    for name, value in TRAINJOB.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RecipeError, match=r"dinoflow run also curates.*machine-1 of several.*dinoflow curate"):
        check_one_machine(Compute(launcher="env"), "run")


def test_torchrun_needs_to_know_who_meets_where():
    with pytest.raises(ValueError, match="launcher torchrun needs nodes and rendezvous"):
        Compute(launcher="torchrun", nodes=4)
    with pytest.raises(ValueError, match="nodes needs a launcher that spans machines, got 2 with local"):
        Compute(nodes=2)
    compute = Compute(launcher="torchrun", nodes=4, rendezvous="localhost:29500")
    place = find_place(compute, {})
    assert place == Machine(None, 4, "localhost:29500")
    assert place.leads
    assert not Machine(None, 4, "192.0.2.1:29500").leads
    command = " ".join(command_of(Path("runs/r/pretrain.job.json"), place, compute))
    assert "--nnodes 4 --rdzv-backend c10d --rdzv-endpoint localhost:29500 --rdzv-id r " in command
    assert "--max-restarts 3" in command
    assert "is_host" not in command, "torchrun finds by itself who is the host"


def test_the_first_machine_is_the_one_where_all_meet():
    commands = [command_of(Path("r/job"), Machine(number, 2, "127.0.0.1:1"), Compute()) for number in (0, 1)]
    assert ["is_host=1" in " ".join(command) for command in commands] == [True, False]
    assert [Machine(number, 2, "n:1").leads for number in (0, 1)] == [True, False]
    assert is_here("localhost")


def test_a_process_of_its_own_is_told_its_place_and_a_gang_nothing_of_another():
    place = Rank(9, 16, 1, 8, "n0", 29500)
    told = environment_of(place, Compute(device="cpu"), {"PATH": "/bin", "PET_NNODES": "7", "RANK": "3"})
    assert {name: told[name] for name in BY_RANK} == BY_RANK
    assert "PET_NNODES" not in told
    assert "torch.distributed.run" not in command_of(Path("r/job"), place, Compute())
    assert "RANK" not in environment_of(Machine(), Compute(), {"PATH": "/bin", "RANK": "3"})


def test_where_a_process_sees_its_own_gpu_alone_that_is_number_0():
    assert Rank(3, 4, 3, 4, "n0", 1).environment(gpus=1)["LOCAL_RANK"] == "0"
    assert Rank(3, 4, 3, 4, "n0", 1).environment(gpus=4)["LOCAL_RANK"] == "3"


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("gpu[03-06,09],login1", "gpu03"), ("n1", "n1"), ("rack[1-2]n[07,09]", "rack1n07"), ("a,b[1-2]", "a")],
)
def test_the_first_host_of_a_list_of_nodes(nodes, first):
    assert first_host(nodes) == first


def test_the_tasks_of_a_node():
    assert [tasks_on_node("2(x3),1", node) for node in range(4)] == [2, 2, 2, 1]
