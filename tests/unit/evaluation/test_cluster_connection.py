"""A cluster is found, and what it has is told, before anything is asked of it."""

from __future__ import annotations

import sys

import pytest

from memla.errors import ClusterError, MissingExtraError, SettingError
from memla.evaluation.cluster import Cluster, Workers, connected


class Inventory:
    """What a Ray with these machines says of them."""

    def __init__(self, *nodes):
        self._nodes = [{"Alive": True, "Resources": node} for node in nodes]
        self._nodes.append({"Alive": False, "Resources": {"CPU": 64, "GPU": 8}})

    def nodes(self):
        return self._nodes


def test_a_shard_gets_a_gpu_where_the_cluster_has_some():
    there = Cluster(Inventory({"CPU": 8.0, "GPU": 4.0}, {"CPU": 8.0, "GPU": 3.0}, {"CPU": 2.0}))
    assert there.workers() == Workers("cuda", 1, 7)
    assert there.workers(gpus_per_shard=2) == Workers("auto", 2, 3)
    assert there.workers(device="cpu") == Workers("cpu", 0, 18)
    assert Cluster(Inventory({"CPU": 3.0})).workers() == Workers("cpu", 0, 3)


@pytest.mark.enable_socket
@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "адрес"])
def test_an_address_where_nobody_is_is_named(address):
    with pytest.raises(ClusterError, match=address) as caught, connected(address):
        pass
    assert "--ray local starts one here" in caught.value.hint


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match="package ray") as caught, connected("local"):
        pass
    assert caught.value.hint == "pip install 'memla[cluster]'"


def test_more_gpus_than_a_machine_has_are_refused():
    there = Cluster(Inventory({"CPU": 8.0, "GPU": 2.0}, {"CPU": 8.0, "GPU": 2.0}))
    with pytest.raises(SettingError, match=r"no machine .* takes 3"):
        there.workers(gpus_per_shard=3)
    with pytest.raises(SettingError, match=r"no machine .* takes 1"):
        Cluster(Inventory({"CPU": 3.0})).workers(device="cuda")
    with pytest.raises(SettingError, match=r"2 GPUs.*'cpu'"):
        there.workers(device="cpu", gpus_per_shard=2)
