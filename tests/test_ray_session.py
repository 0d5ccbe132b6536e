"""xmodal/ray_session.py: a head that is not there, GPUs that are not there yet."""

import json
import os
import subprocess
import sys

import pytest

from tests.shops import make_rows, take_in, write_csv
from xmodal.errors import ServiceError
from xmodal.layers import load_settings
from xmodal.ray_session import gather_gpus


@pytest.fixture
def home(tmp_path):
    take_in(write_csv(tmp_path / "shop", make_rows(12)), tmp_path / "home")
    return tmp_path / "home"


def train(home, **environ):
    """jobs/train.py in a process of its own: here, another test's cluster may be joined."""
    given = {"XMODAL_HOME": str(home), "RAY_AUTH_MODE": "disabled", **environ}
    command = [sys.executable, "jobs/train.py", "--set", "training.workers=1"]
    return subprocess.run(
        command, env=os.environ | given, capture_output=True, text=True, timeout=90, check=False
    )


@pytest.mark.parametrize("address", ["127.0.0.1:59999", "[::1]:59999"])
def test_a_head_that_is_not_there_is_one_line_within_seconds(home, address):
    done = train(home, RAY_ADDRESS=address)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: no Ray head answers at {address} (")
    assert "unset RAY_ADDRESS" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (home / "runs").exists()


# In a process of its own: a cluster that an autoscaler would look after (`ray up` names the group
# of its nodes by this variable), and a node with two GPUs that comes while it is asked for.
SCALED = """
import json, os, sys, threading
os.environ.update(RAY_AUTH_MODE="disabled", RAY_NODE_TYPE_NAME="head")
from ray.cluster_utils import Cluster
from xmodal.errors import ServiceError
from xmodal.layers import load_settings
from xmodal.ray_session import gather_gpus
from xmodal.retrieval.ray_embed import pool
cluster = Cluster(initialize_head=True, connect=True, head_node_args={"num_cpus": 2})
settings = load_settings(None, ["training.gpu=true", "training.workers=2"], {})
before, said = pool(3), []
try:
    gather_gpus(settings, said.append, within_s=2)
except ServiceError as error:
    said.append(str(error))
waiting = threading.Thread(target=gather_gpus, args=(settings, said.append, 120))
waiting.start()
cluster.add_node(num_cpus=2, num_gpus=2)
waiting.join()
print(json.dumps([before, pool(3), pool(1), said]))
"""


@pytest.mark.slow
def test_a_cluster_that_scales_from_zero_is_asked_and_waited_for():
    command = [sys.executable, "-c", SCALED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    before, after, one, said = json.loads(done.stdout.splitlines()[-1])
    assert (before, after, one) == ([3, 0], [2, 1], [1, 1])
    assert "asked its autoscaler" in said[0]
    assert "the cluster has 0 after 0 min" in said[1]
    assert said[-1] == "the cluster has 2 GPUs"


# An actor pool of Ray Data, as it embeds: Ray's core has something to say of its arguments.
EMBEDDING = """
import ray
from ray.data import ActorPoolStrategy
from xmodal.layers import load_settings
from xmodal.ray_session import ray_session
class Same:
    def __call__(self, batch):
        return batch
with ray_session(load_settings(None, [], {})):
    data = ray.data.range(2).map_batches(Same, compute=ActorPoolStrategy(size=1))
    print(data.count())
"""


@pytest.mark.slow
def test_rays_core_is_silent_at_the_terminal():
    environ = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    environ["RAY_AUTH_MODE"] = "disabled"
    command = [sys.executable, "-W", "ignore", "-c", EMBEDDING]
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=240, check=False
    )
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr[-2000:]
    assert ".cc:" not in done.stderr


@pytest.mark.usefixtures("ray_cluster")
def test_a_cluster_that_cannot_grow_fails_at_once():
    settings = load_settings(None, ["training.gpu=true", "training.workers=3"], {})
    with pytest.raises(ServiceError, match=r"training.workers=3 need a GPU each, .* has 0: start"):
        gather_gpus(settings, print)
    gather_gpus(load_settings(None, [], {}), print)
