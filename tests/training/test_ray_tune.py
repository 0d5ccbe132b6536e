"""xmodal/training/ray_tune.py: room without a hang. A real search: tests/jobs/test_tune.py."""

import pytest

from xmodal.errors import ServiceError
from xmodal.training.ray_tune import Room, find_room


@pytest.mark.slow
def test_no_more_trials_run_at_once_than_the_cluster_can_finish(ray_cluster):
    assert find_room(workers=2, gpu=False) == Room(1, 0.5)
    with pytest.raises(ServiceError, match=r"training\.workers=1, or start Ray"):
        find_room(workers=40, gpu=False)
    with pytest.raises(ServiceError, match="0 GPU"):
        find_room(workers=1, gpu=True)
