"""cluster.yaml: what `ray up` will accept, and the flags that must be set before Ray starts."""

import importlib.util
import json
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "cluster.yaml").read_text()
CLUSTER = yaml.safe_load(TEXT)
FLAGS = ("RAY_AUTH_MODE=token", "RAY_SERVE_ENABLE_HA_PROXY=1", "RAY_SERVE_THROUGHPUT_OPTIMIZED=1")


def test_rays_own_schema_takes_it():
    package = importlib.util.find_spec("ray").submodule_search_locations[0]
    schema = json.loads(Path(package, "autoscaler", "ray-schema.json").read_text())
    jsonschema.validate(CLUSTER, schema)


def test_the_flags_are_set_before_ray_starts_on_every_node():
    for commands in ("head_start_ray_commands", "worker_start_ray_commands"):
        start = next(line for line in CLUSTER[commands] if "ray start" in line)
        before = start.partition("ray start")[0]
        assert all(flag in before for flag in FLAGS)


def test_gpu_workers_come_and_go_within_bounds():
    gpu = CLUSTER["available_node_types"]["gpu-worker"]
    assert 0 == gpu["min_workers"] < gpu["max_workers"] <= CLUSTER["max_workers"]
    assert CLUSTER["head_node_type"] in CLUSTER["available_node_types"]


@pytest.mark.parametrize("kind", list(CLUSTER["available_node_types"]))
def test_every_node_names_its_image_for_rays_own_has_python_3_6(kind):
    assert CLUSTER["available_node_types"][kind]["node_config"]["ImageId"].startswith("ami-")
    marked = [line for line in TEXT.splitlines() if "CHANGE" in line]
    assert len([line for line in marked if "ImageId" in line or "Ubuntu 24.04" in line]) == 2


def test_the_home_is_absolute_and_the_catalog_in_object_storage():
    start = CLUSTER["head_start_ray_commands"][-1]
    assert "XMODAL_HOME=/" in start
    assert "XMODAL_CATALOG__PATH=s3://" in start
