"""Sabotaged runs, the harm done by data and settings alone: each is caught, and by its name."""

import random
from dataclasses import replace

import pytest
from PIL import Image

from tests.training.doctor.ward import SIDE, admit, clip_base, goods, rows_of, settings_for, take
from tests.training.toy import tiny_base
from xmodal.errors import UnhealthyRun
from xmodal.findings import read_findings
from xmodal.training.doctor.before import examine, refuse

MADE = goods(120)


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    return tmp_path_factory.mktemp("bases")


@pytest.fixture(scope="module")
def base(bases):
    return tiny_base(bases / "towers")


@pytest.fixture(scope="module")
def shop(base, tmp_path_factory):
    """A healthy shop, taken in: what its settings do to it is the tests' business."""
    folder = tmp_path_factory.mktemp("healthy")
    catalog = take(folder, rows_of(MADE, folder / "shop"), settings_for(base))
    return lambda settings, run: admit(folder, catalog, settings, run)


@pytest.fixture
def ill(base, tmp_path):
    """A run on the shop of these rows; `edit` harms them."""

    def make(made=MADE, title=lambda good: good.title, edit=lambda rows: rows, **changes):
        settings = settings_for(base, **changes)
        rows = edit(rows_of(made, tmp_path / "shop", title))
        return admit(tmp_path, take(tmp_path, rows, settings), settings)

    return make


def test_titles_shuffled_among_the_products(ill):
    def shuffle(rows):
        titles = [row["title"] for row in rows]
        random.Random(0).shuffle(titles)
        return [row | {"title": title} for row, title in zip(rows, titles, strict=True)]

    patient = ill(edit=shuffle)
    assert patient.before() == {"pairs-unrelated"}
    assert "held-out-at-chance" in patient.during()


def test_a_learning_rate_a_hundred_times_too_high(base, shop):
    patient = shop(settings_for(base, training__learning_rate=0.1, training__epochs=2), "high")
    assert patient.before() == {"learning-rate-too-high"}
    found = patient.during()
    assert {"representation-collapsed", "held-out-at-chance"} <= found


def test_a_learning_rate_a_thousandth_of_what_is_right(base, shop):
    patient = shop(settings_for(base, training__learning_rate=1e-6, training__epochs=2), "low")
    assert patient.before() == {"learning-rate-too-low"}
    assert "held-out-at-chance" in patient.during()


def test_a_batch_larger_than_the_catalogue(base, shop):
    patient = shop(settings_for(base, training__batch=256), "large")
    assert patient.before() == {"batch-larger-than-catalogue"}


def test_fifty_products_for_sixty_epochs(ill):
    patient = ill(goods(50), training__epochs=60, training__batch=16)
    assert patient.before() == {"too-many-passes"}


def test_a_preprocessing_file_of_no_normalisation(bases, shop):
    base = clip_base(bases / "raw", mean=(0, 0, 0), std=(1, 1, 1))
    patient = shop(settings_for(base, training__learning_rate=1e-3), "raw")
    assert patient.before() == {"wrong-normalisation"}


def test_a_preprocessing_file_in_grey_levels(bases, shop):
    base = clip_base(bases / "levels", mean=(123, 117, 104), std=(58, 57, 57))
    patient = shop(settings_for(base, training__learning_rate=1e-3), "levels")
    assert patient.before() == {"wrong-normalisation", "pixels-off-scale"}


def test_both_towers_frozen(bases, shop):
    base = clip_base(bases / "frozen")
    settings = settings_for(base, training__learning_rate=1e-3, matcher__trained_blocks=0)
    assert shop(settings, "frozen").before() == {"towers-frozen"}


def test_a_base_whose_temperature_has_collapsed(bases, shop):
    base = clip_base(bases / "cold", log_scale=-3.0)
    patient = shop(settings_for(base, training__learning_rate=1e-3, training__epochs=1), "cold")
    assert patient.before() == {"temperature-collapsed"}
    assert "temperature-collapsed" in patient.during()


def test_each_product_three_times(ill):
    def copy(rows):
        return [row | {"product_id": f"{row['product_id']}-{k}"} for row in rows for k in range(3)]

    assert ill(goods(80), edit=copy).before() == {"duplicates-in-batch"}


def test_val_products_that_train_holds_too(ill):
    def leak(rows):
        rows = _split(rows)
        copies = [row | {"split": "train"} for row in rows if row["split"] == "val"]
        return rows + [row | {"product_id": "again-" + row["product_id"]} for row in copies[:6]]

    assert ill(edit=leak).before() == {"products-leaked"}


def test_pictures_that_show_nothing(ill):
    def white(number):
        picture = Image.new("RGB", (SIDE, SIDE), "white")
        picture.putpixel((number % SIDE, number // SIDE), (240, 240, 240))
        return picture

    blank = [replace(good, pictures=(white(n),)) for n, good in enumerate(MADE)]
    patient = ill(blank, edit=_split)
    assert "pictures-alike" in patient.before()
    found = examine(patient.plan, patient.catalog, patient.folder)
    with pytest.raises(UnhealthyRun, match=r"pictures-alike: .*training\.doctor=report"):
        refuse(found, patient.plan)
    assert read_findings(patient.folder) == found


def test_pictures_of_one_colour_each(ill):
    plain = [
        replace(good, pictures=(Image.new("RGB", (SIDE, SIDE), (n, 255 - n, n * 7 % 256)),))
        for n, good in enumerate(MADE)
    ]
    assert "pictures-blank" in ill(plain, edit=_split).before()


def test_pictures_a_tenth_as_bright(ill):
    dim = [
        replace(good, pictures=tuple(p.point(lambda level: level // 16) for p in good.pictures))
        for good in MADE
    ]
    assert "pixels-off-scale" in ill(dim, edit=_split).before()


def test_titles_that_are_nearly_all_the_same(ill):
    def bury(rows):
        return [row | {"title": "product"} if n % 20 else row for n, row in enumerate(rows)]

    patient = ill(edit=bury)
    assert "texts-alike" in patient.before()
    found = examine(patient.plan, patient.catalog, patient.folder)
    with pytest.raises(UnhealthyRun, match="texts-alike"):
        refuse(found, patient.plan)
    refuse(found, replace(patient.plan, training=patient.plan.training | {"doctor": "report"}))


def test_most_titles_missing(ill):
    def forget(rows):
        return [row | {"title": ""} if n % 3 else row for n, row in enumerate(rows)]

    assert "titles-missing" in ill(goods(240), edit=forget).before()


def test_captions_longer_than_the_window(ill):
    def long(good):
        return " ".join(["truly"] * 40) + " " + good.title

    assert ill(title=long).before() == {"captions-cut"}


def test_a_held_out_part_of_another_shop(ill):
    noise = [
        replace(good, pictures=(Image.effect_noise((SIDE, SIDE), 90).convert("RGB"),))
        for good in MADE
    ]
    words = ("sofa", "walnut", "velvet", "rug", "vase", "desk")

    def swap(rows):
        rows = _split(rows)
        other = random.Random(0)
        for row in rows:
            if row["split"] == "val":
                row["title"] = f"{other.choice(words)} {other.choice(words)}"
        return rows

    made = [noise[n] if n % 4 == 0 else good for n, good in enumerate(MADE)]
    assert ill(made, edit=swap).before() == {"queries-in-unknown-words", "held-out-unlike-train"}


def _split(rows):
    return [row | {"split": "val" if n % 4 == 0 else "train"} for n, row in enumerate(rows)]
