"""xmodal/training/history.py: each epoch is reported once, whoever ran it."""

import pytest

from xmodal.training.history import epoch_line, followed, read_history, write_history

ROWS = [{"epoch": 0.0, "loss": 3.0}, {"epoch": 1.0, "loss": 2.0}]


def test_epochs_are_reported_once_and_in_order(tmp_path):
    seen = []
    write_history(tmp_path, ROWS[:1])
    with followed(tmp_path, lambda metrics, epoch: seen.append((epoch, metrics["loss"]))):
        write_history(tmp_path, ROWS)
    assert seen == [(0, 3.0), (1, 2.0)]
    assert read_history(tmp_path) == ROWS


def test_a_run_without_an_epoch_has_no_history(tmp_path):
    assert read_history(tmp_path) == []


def test_what_the_report_raises_ends_the_block(tmp_path):
    def fail(metrics, epoch):
        raise OSError("no tracking store")

    with pytest.raises(OSError, match="tracking"), followed(tmp_path, fail):
        write_history(tmp_path, ROWS)


def test_the_line_of_an_epoch_says_the_time_left():
    row = {"epoch": 1.0, "loss": 2.5, "mrr@10": 0.125, "recall@10": 0.25, "pairs_per_s": 99.6}
    line = epoch_line(row | {"data_wait_share": 0.031, "train_s": 50.0, "validate_s": 10.0}, 6)
    assert line == (
        "epoch 2/6: loss 2.500, val MRR 0.125, val R@10 0.250, 100 pairs/s, "
        "3% of the time waiting for data, 240 s left"
    )
