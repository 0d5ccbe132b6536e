"""xmodal/catalog/ingest.py: a folder comes in whole, or stops with one line."""

import json
import os

import pytest

from tests.shops import (
    encoded,
    make_rows,
    quarantined,
    take_in,
    write_csv,
    write_parquet,
)
from xmodal.catalog.demo import write_demo_shop
from xmodal.catalog.store import current_catalog
from xmodal.catalog.summary import rows_of
from xmodal.errors import CatalogError, HomeError, QueriesError, SplitLeak, StorageError

BAD_FILES = {
    "text.jpg": b"I am a text file",
    "cut.jpg": encoded(1)[:500],
    "large.png": encoded(1, "PNG", size=(400, 300)),
}
BAD_ROWS = {
    "not_an_image": {"image": "images/text.jpg"},
    "image_truncated": {"image": "images/cut.jpg"},
    "image_huge": {"image": "images/large.png"},
    "image_missing": {"image": "images/nowhere.jpg"},
    "empty": {"image": "", "title": " "},
    "no_id": {"product_id": ""},
    "duplicate_id": {"product_id": "p000"},
}


def spoil(rows, folder):
    """Add one row of each kind that cannot be taken; returns product ids by reason."""
    write_csv(folder, rows)
    for name, content in BAD_FILES.items():
        (folder / "images" / name).write_bytes(content)
    bad = BAD_ROWS
    extra = [rows[0] | {"product_id": f"bad-{reason}"} | cells for reason, cells in bad.items()]
    write_csv_only(folder, rows + extra)
    return {reason: [row["product_id"]] for reason, row in zip(bad, extra, strict=True)}


def write_csv_only(folder, rows):
    text = [",".join(rows[0])] + [",".join(map(str, row.values())) for row in rows]
    (folder / "products.csv").write_text("\n".join(text))


def test_each_bad_row_is_in_quarantine_with_its_reason(tmp_path):
    bad = spoil(make_rows(200), tmp_path / "shop")
    catalog = take_in(tmp_path / "shop", tmp_path / "home", max_pixels=100_000).catalog
    assert quarantined(catalog.path / "quarantine") == dict(sorted(bad.items()))
    assert catalog.manifest.quarantine == dict.fromkeys(bad, 1)
    assert catalog.n_products == 200


def test_too_many_bad_rows_stop_and_stay_readable(tmp_path):
    home = tmp_path / "home"
    bad = spoil(make_rows(60), tmp_path / "shop")
    with pytest.raises(CatalogError, match=r"7 of 67 rows are bad \(more than 5%\)") as said:
        take_in(tmp_path / "shop", home, max_pixels=100_000)
    assert "\n" not in str(said.value)
    assert quarantined(home / "quarantine") == dict(sorted(bad.items()))
    assert sorted(os.listdir(home)) == ["catalogs", "quarantine"]
    assert os.listdir(home / "catalogs") == []


def test_no_valid_product_stops_whatever_the_share(tmp_path):
    write_csv(tmp_path / "shop", [row | {"title": "", "image": ""} for row in make_rows(3)])
    with pytest.raises(CatalogError, match=r"3 of 3 rows are bad \(no product is left\): empty 3"):
        take_in(tmp_path / "shop", tmp_path / "home", max_bad_share=1.0)


def test_a_file_without_rows_stops(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "x.csv").write_text("id,title\n")
    with pytest.raises(CatalogError, match=r"x.csv has no rows"):
        take_in(tmp_path / "shop", tmp_path / "home")


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("xmodal.catalog.ingest.write_pairs", full)  # the disk, not our code
    with pytest.raises(StorageError, match="disk is full"):
        take_in(write_csv(tmp_path / "shop", make_rows(9)), tmp_path / "home")
    assert os.listdir(tmp_path / "home" / "catalogs") == []


def test_one_bad_picture_of_two_is_dropped_alone(tmp_path):
    rows = make_rows(9)
    rows[3]["image"] += "|images/none.jpg"
    folder = write_csv(tmp_path / "shop", rows)
    (folder / "images" / "none.jpg").unlink()
    summary = take_in(folder, tmp_path / "home")
    assert (summary.catalog.n_products, summary.catalog.n_images) == (9, 9)
    assert summary.dropped_images == 1
    assert quarantined(summary.catalog.path / "quarantine") == {"image_missing": ["p003"]}


def test_structs_bytes_and_lists_of_parquet_are_the_same_shop(tmp_path):
    pictures = [encoded(i) for i in range(8)]
    forms = {
        "raw": lambda i: pictures[i],
        "struct": lambda i: {"bytes": pictures[i], "path": None},
        "list": lambda i: [{"bytes": pictures[i], "path": f"{i}.jpg"}],
    }
    found = set()
    for name, form in forms.items():
        rows = [{"id": i, "title": f"shoe {i}", "image": form(i)} for i in range(8)]
        found.add(
            take_in(
                write_parquet(tmp_path / name, rows), tmp_path / f"home-{name}"
            ).catalog.manifest.id
        )
    assert len(found) == 1


def test_splits_are_kept_where_they_are_given(tmp_path):
    rows = [
        row | {"split": s}
        for row, s in zip(make_rows(8), 2 * ["train", "valid", "dev", "test"], strict=True)
    ]
    manifest = take_in(write_csv(tmp_path / "shop", rows), tmp_path / "home").catalog.manifest
    assert manifest.counts == {"train": 2, "val": 2, "dev": 2, "test": 2}
    assert not manifest.made_val


def test_val_is_cut_where_there_is_none(tmp_path):
    catalog = take_in(write_csv(tmp_path / "shop", make_rows(100)), tmp_path / "home").catalog
    assert catalog.manifest.counts == {"train": 80, "val": 20}
    assert catalog.manifest.made_val
    assert catalog.products(["split"])["split"].to_pylist().count("val") == 20
    assert catalog.judged("val").made
    assert len(catalog.judged("val").queries) == 20


def secretive_shop(folder):
    """A shop whose dev and test products alone say `secret`, and its judged queries."""
    rows = make_rows(60)
    for i, row in enumerate(rows):
        row["split"] = ("train", "train", "dev", "test")[i % 4]
        if row["split"] in ("dev", "test"):
            row |= {"title": f"secret {i}", "colour": "Secret", "kind": "Secret"}
    write_csv(folder, rows)
    terms = {"Red": "红色", "Secret": "秘密"}
    (folder / "glossary.zh.json").write_text(
        json.dumps({"colour": terms, "kind": {"Secret": "秘"}})
    )
    wishes = {"secret wish": {"p000": 1, "p002": 1}, "open wish": {"p000": 1}}
    (folder / "wishes.json").write_text(json.dumps(wishes))
    return folder


def test_what_dev_and_test_say_never_reaches_training(tmp_path):
    folder = secretive_shop(tmp_path / "shop")
    catalog = take_in(folder, tmp_path / "home", queries="wishes.json").catalog
    splits = ("train", "val", "dev", "test")
    pairs = [row for split in splits for row in catalog.pairs(split).to_pylist()]
    assert {row["source"] for row in pairs} == {"title", "attributes", "glossary", "judged"}
    assert {row["split"] for row in pairs} == {"train", "val"}
    assert not [row for row in pairs if "ecret" in row["text"] or "秘" in row["text"]]
    split_of = {row["product_id"]: row["split"] for row in catalog.rows(["product_id", "split"])}
    assert {split_of[row["product_id"]] for row in pairs} == {"train", "val"}


def test_pairs_name_the_row_of_their_product(tmp_path):
    catalog = take_in(write_csv(tmp_path / "shop", make_rows(40)), tmp_path / "home").catalog
    titles = catalog.products(["title"])["title"].to_pylist()
    found = [row for row in catalog.pairs("train").to_pylist() if row["source"] == "title"]
    assert [titles[row["product_row"]] for row in found] == [row["text"] for row in found]
    assert len(found) == catalog.manifest.counts["train"]


def test_a_product_without_title_stays_and_makes_no_title_pair(tmp_path):
    rows = make_rows(20)
    rows[5]["title"] = ""
    catalog = take_in(write_csv(tmp_path / "shop", rows), tmp_path / "home").catalog
    assert catalog.n_products == 20
    sources = {r["source"] for r in catalog.pairs("train").to_pylist() if r["product_id"] == "p005"}
    assert "title" not in sources


def test_a_part_without_titles_has_no_queries(tmp_path):
    rows = make_rows(20)
    for i, row in enumerate(rows):
        row["split"] = "test" if i < 5 else "train"
        row["title"] = "" if i < 5 else row["title"]
    catalog = take_in(write_csv(tmp_path / "shop", rows), tmp_path / "home").catalog
    assert "test" not in catalog.manifest.n_queries


def test_queries_may_lie_in_a_folder_by_part(tmp_path):
    rows = [row | {"split": "dev" if i < 5 else "train"} for i, row in enumerate(make_rows(20))]
    folder = write_csv(tmp_path / "shop", rows)
    (folder / "queries").mkdir()
    (folder / "queries" / "dev.json").write_text(json.dumps({"红色 shoe": {"p000": 2, "p001": 0}}))
    catalog = take_in(folder, tmp_path / "home", queries="queries").catalog
    dev = catalog.judged("dev")
    assert (dev.made, dev.langs) == (False, {"红色 shoe": "zh"})
    assert dev.qrels == {"红色 shoe": {"p000": 2, "p001": 0}}
    assert catalog.judged("val").made


def test_a_query_that_dev_asks_does_not_train(tmp_path):
    rows = [row | {"split": ("train", "val", "dev")[i % 3]} for i, row in enumerate(make_rows(9))]
    folder = write_csv(tmp_path / "shop", rows)
    (folder / "queries").mkdir()
    wishes = {"train": {"both": {"p000": 1}, "mine": {"p000": 1, "p001": 1, "p002": 1}}}
    for part, queries in (wishes | {"dev": {" Both": {"p002": 1}}}).items():
        (folder / "queries" / f"{part}.json").write_text(json.dumps(queries))
    catalog = take_in(folder, tmp_path / "home", queries="queries").catalog
    pairs = [row for split in ("train", "val") for row in catalog.pairs(split).to_pylist()]
    judged = [(r["text"], r["product_id"]) for r in pairs if r["source"] == "judged"]
    assert judged == [("mine", "p000")]


@pytest.mark.parametrize("name", ["none.json", "none"])
def test_queries_that_are_not_there_stop(name, tmp_path):
    folder = write_csv(tmp_path / "shop", make_rows(5))
    with pytest.raises(QueriesError, match="no such file or folder"):
        take_in(folder, tmp_path / "home", queries=name)


def asked(folder, content, name="wishes.json"):
    """Put judged queries into the folder."""
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        ({"title": ""}, "none of the 8 products of train has a title"),
        ({"image": ""}, "none of the 8 products of train has a picture"),
        ({"image": "images/000.jpg"}, "the 8 products of train .* are near-duplicates"),
        ({"split": "dev"}, "none of the 0 products of train has a title"),
    ],
)
def test_a_shop_without_a_query_of_val_is_taken_in_and_says_why_it_cannot_train(
    spoiled, message, tmp_path
):
    folder = write_csv(tmp_path / "shop", [row | spoiled for row in make_rows(8)])
    summary = take_in(folder, tmp_path / "home")
    assert "warning: it can be searched, not trained on: nothing" in summary.notes[-1]
    with pytest.raises(CatalogError, match=rf"{message}; add .*, or judged queries as val.json"):
        summary.catalog.check_trainable()


def test_four_titled_products_are_too_few_unless_val_is_judged(tmp_path):
    folder = write_csv(tmp_path / "shop", make_rows(4))
    why = take_in(folder, tmp_path / "home").catalog.manifest.cannot_train
    assert "4 products of train have a title and a picture, 5 are needed" in why
    asked(folder, {"shoe": {"p000": 1}}, "queries/val.json")
    catalog = take_in(folder, tmp_path / "home", queries="queries").catalog
    catalog.check_trainable()
    assert catalog.manifest.n_queries == {"val": 1}


def test_five_products_are_enough(tmp_path):
    catalog = take_in(write_csv(tmp_path / "shop", make_rows(5)), tmp_path / "home").catalog
    catalog.check_trainable()
    assert catalog.manifest.counts == {"train": 4, "val": 1}


def test_one_title_for_all_teaches_nothing(tmp_path):
    rows = [row | {"title": "Shoe" if i % 2 else " shoe"} for i, row in enumerate(make_rows(20))]
    catalog = take_in(write_csv(tmp_path / "shop", rows), tmp_path / "home").catalog
    with pytest.raises(CatalogError, match="all 20 products with a picture have the same title"):
        catalog.check_trainable()
    rows[7]["title"] = "hat"
    take_in(write_csv(tmp_path / "shop", rows), tmp_path / "home").catalog.check_trainable()


def test_one_class_is_no_obstacle(tmp_path):
    rows = [row | {"kind": "Shoes"} for row in make_rows(20)]
    take_in(write_csv(tmp_path / "shop", rows), tmp_path / "home").catalog.check_trainable()


def test_pictures_that_are_all_alike_leave_no_part_to_judge_by(tmp_path):
    sizes = [(48 + 6 * i, 64 + 8 * i) for i in range(12)]
    pictures = [encoded(0, "PNG", size=size) for size in sizes]
    rows = [{"id": i, "title": f"shirt {i}", "image": x} for i, x in enumerate(pictures)]
    manifest = take_in(write_parquet(tmp_path / "shop", rows), tmp_path / "home").catalog.manifest
    assert "the 12 products of train with a title and a picture are near" in manifest.cannot_train
    assert (manifest.counts, manifest.straddling) == ({"train": 12}, {})


def planted(part):
    """40 products, and five of them again in `part`, saved anew as JPEG under other titles."""
    rows = [{"id": i, "title": f"shirt {i}", "image": encoded(i, "PNG")} for i in range(40)]
    again = [
        {"id": 100 + i, "title": f"blouse {i}", "image": encoded(i, size=(96, 128))}
        for i in range(5)
    ]
    parts = ["train" if part == "train" or i < 35 else "val" for i in range(40)]
    rows = [row | {"split": split} for row, split in zip(rows, parts, strict=True)]
    return rows + [row | {"split": part} for row in again]


def test_near_duplicates_across_given_parts_are_counted_never_refused(tmp_path):
    folder = write_parquet(tmp_path / "shop", planted("dev"))
    summary = take_in(folder, tmp_path / "home")
    near = {"train": {"dev": 5}, "dev": {"train": 5}}
    assert summary.catalog.manifest.near_duplicates == near
    assert rows_of(summary)["near-duplicates of dev"] == "of its products have one: 5 in train"


def test_a_cut_that_parts_near_duplicates_is_refused(tmp_path, monkeypatch):
    def careless(traits, share, seed):
        traits.splits[-5:] = ["val"] * 5

    folder = write_parquet(tmp_path / "shop", planted("train"))
    assert "val" not in take_in(folder, tmp_path / "home").catalog.manifest.near_duplicates
    monkeypatch.setattr("xmodal.catalog.ingest.cut_val", careless)  # the fault to be caught
    with pytest.raises(SplitLeak, match="5 products of the val that was cut here"):
        take_in(folder, tmp_path / "other")
    assert os.listdir(tmp_path / "other" / "catalogs") == []


@pytest.mark.parametrize(
    ("content", "name"), [({"shoe": {"p001": 1}}, "test"), ({"Shoe": {"p001": 1}}, "dev")]
)
def test_other_judged_queries_are_another_catalogue(content, name, tmp_path):
    folder = write_csv(tmp_path / "shop", make_rows(9))
    asked(folder, {"shoe": {"p001": 1}}, "queries/dev.json")
    first = take_in(folder, tmp_path / "home", queries="queries").catalog.manifest.id
    (folder / "queries" / "dev.json").unlink()
    asked(folder, content, f"queries/{name}.json")
    assert take_in(folder, tmp_path / "home", queries="queries").catalog.manifest.id != first


def test_another_query_picture_is_another_catalogue(tmp_path):
    folder, ids = write_csv(tmp_path / "shop", make_rows(9)), set()
    (folder / "queries").mkdir()
    for seed in (1, 2):
        for name, row in (("queries", {"image": encoded(seed)}), ("qrels", {"product_id": "p001"})):
            row |= {"query_id": "q", "grade": 1}
            write_parquet(folder / "queries", [row], f"{name}.parquet")
        ids.add(take_in(folder, tmp_path / "home", queries="queries").catalog.manifest.id)
    assert len(ids) == 2


def test_a_glossary_of_another_shop_warns(tmp_path):
    folder = write_csv(tmp_path / "shop", make_rows(20))
    asked(folder, {"Finish": {"Red": "红色"}}, "glossary.zh.json")
    note = take_in(folder, tmp_path / "home").notes[-1]
    assert note.startswith("warning: 0 Chinese captions: the glossary's attributes are Finish, the")
    assert "shop's are colour, kind;" in note
    asked(folder, {"Colour": {"Red": "红色"}}, "glossary.zh.json")
    found = take_in(folder, tmp_path / "home")
    assert found.notes[-1].startswith("Chinese captions: 7, of the 1 t")
    assert found.catalog.glossary() == {"colour": {"Red": "红色"}}  # as the shop spells it


def test_equal_content_leaves_the_published_folder_alone(tmp_path):
    folder = write_csv(tmp_path / "shop", make_rows(10))
    first = take_in(folder, tmp_path / "home").catalog
    inode = first.path.stat().st_ino
    os.utime(folder / "products.csv", (1, 1))
    again = take_in(folder, tmp_path / "home")
    assert (again.is_new, again.catalog, first.path.stat().st_ino) == (True, first, inode)
    assert os.listdir(tmp_path / "home" / "catalogs") == [first.manifest.id]
    assert not take_in(folder, tmp_path / "home").is_new


def test_a_home_inside_the_shop_is_no_part_of_it(tmp_path):
    folder = write_csv(tmp_path / "shop", make_rows(10))
    (folder / ".git").mkdir()
    take_in(folder, folder / "home")
    (folder / ".git" / "index").write_text("x")
    (folder / "home" / "run.log").write_text("x")
    again = take_in(folder, folder / "home")
    assert (again.is_new, again.catalog.n_products) == (False, 10)


def test_a_machine_that_knows_no_affinity_takes_a_shop_in(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS
    assert take_in(write_csv(tmp_path / "shop", make_rows(9)), tmp_path / "home").is_new


def test_an_odd_image_cell_costs_its_row(tmp_path):
    folder = write_csv(tmp_path / "shop", make_rows(40))
    with (folder / "products.csv").open("a") as file:
        file.write(f"odd,{400 * 'a'},Red Shoes,Red,Shoes\n")
    catalog = take_in(folder, tmp_path / "home").catalog
    assert quarantined(catalog.path / "quarantine") == {"image_missing": ["odd"]}


def test_a_linked_home_holds_its_own_demo_shop(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    write_demo_shop(tmp_path / "disk" / "demo-shop", products=60)
    ids = [take_in("demo", tmp_path / name, queries="queries").catalog for name in ("disk", "home")]
    assert ids[0].manifest == ids[1].manifest


def test_the_same_folder_twice_is_one_catalogue(tmp_path):
    folder = write_csv(tmp_path / "shop", make_rows(10))
    first, second = (take_in(folder, tmp_path / "home") for _ in range(2))
    assert (first.is_new, second.is_new) == (True, False)
    assert first.catalog == second.catalog


def test_a_changed_folder_is_a_new_catalogue_and_the_old_one_stays(tmp_path):
    home = tmp_path / "home"
    first = take_in(write_csv(tmp_path / "shop", make_rows(10)), home).catalog
    second = take_in(write_csv(tmp_path / "shop", make_rows(12)), home).catalog
    assert first.path.exists()
    assert first.manifest.id != second.manifest.id
    assert current_catalog(home) == second


def test_the_same_content_elsewhere_has_the_same_id(tmp_path):
    ids = {
        take_in(
            write_csv(tmp_path / name, make_rows(30)), tmp_path / f"home-{name}"
        ).catalog.manifest.id
        for name in "ab"
    }
    assert len(ids) == 1


def test_another_seed_is_another_catalogue(tmp_path):
    folder = write_csv(tmp_path / "shop", make_rows(200))
    one, two = (take_in(folder, tmp_path / f"home-{s}", seed=s).catalog.manifest.id for s in (0, 1))
    assert one != two


def test_a_home_holds_one_shop(tmp_path):
    take_in(write_csv(tmp_path / "one", make_rows(5)), tmp_path / "home")
    with pytest.raises(HomeError, match="XMODAL_HOME=") as said:
        take_in(write_csv(tmp_path / "two", make_rows(5)), tmp_path / "home")
    assert "\n" not in str(said.value)
    assert current_catalog(tmp_path / "home").manifest.source == str(tmp_path / "one")


def test_progress_adds_up_to_the_whole(tmp_path):
    from xmodal.catalog.ingest import ingest
    from xmodal.settings import CatalogSettings

    told = []
    folder = write_csv(tmp_path / "shop", make_rows(300))
    ingest(str(folder), CatalogSettings(), tmp_path / "home", 0, told.append)
    assert sum(told) == pytest.approx(1.0)
