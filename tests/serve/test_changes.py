"""serve/changes.py and products.py: products put in and taken out, over real parts, without Ray."""

import base64
import errno
import io
import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from serve.api import make_api
from serve.service import Service
from serve.shelves import fused, spread
from tests.factories import make_picture
from tests.homes import add_release, embed, tiny_home
from xmodal.catalog.changes import products_folder, vectors_folder
from xmodal.catalog.fold import fold_changes
from xmodal.catalog.store import current_catalog
from xmodal.index.build import build_index
from xmodal.matcher.saved import load_encoder
from xmodal.registry.pointer import make_release, move_pointer, read_pointer
from xmodal.search.opened import open_encoder, open_reranker, open_retriever
from xmodal.search.searcher import Searcher
from xmodal.search.stages import make_pools

ROOT = Path(__file__).resolve().parents[2]
WRITER = """
import sys
from pathlib import Path
from starlette.testclient import TestClient
from serve.api import make_api
from serve.service import Service
from serve.shelves import fused
home = Path(sys.argv[1])
service = Service(home, fused(home, depth=10), deadline_ms=30_000)
with TestClient(make_api(service)) as client:
    client.portal.call(service.holder.start)
    number = 0
    while True:
        body = {"title": f"crash shoe {number}", "attributes": {"made": "now"}}
        assert client.put(f"/v1/products/c{number}", json=body).status_code == 200
        print(number, flush=True)
        number += 1
"""


def apart(home):
    """The stages in objects of their own, as the spread topology has them in processes."""

    def make_searcher(release, parts):
        encoder, retriever, reranker = (
            part(parts, make_pools()) for part in (open_encoder, open_retriever, open_reranker)
        )
        return Searcher(encoder, retriever, reranker, 10, calibration=parts.calibration)

    return spread(home, make_searcher)


@contextmanager
def serving(home, opener=None):
    service = Service(home, opener or fused(home, depth=10), deadline_ms=30_000)
    with TestClient(make_api(service), raise_server_exceptions=False) as client:
        client.portal.call(service.holder.start)
        client.service = service
        yield client
        client.portal.call(service.holder.stop)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    tiny_home(home)
    return home


@pytest.fixture(scope="module", params=["fused", "spread"])
def client(request, tmp_path_factory):
    home = tmp_path_factory.mktemp(request.param)
    tiny_home(home)
    with serving(home, apart(home) if request.param == "spread" else None) as client:
        client.home = home
        yield client


def as_base64(content):
    return base64.b64encode(content).decode()


def body(seed, **more):
    return {"title": "violet hat", "images": [as_base64(make_picture(seed))], **more}


def found(client, **query):
    answer = client.post("/v1/search", json={"limit": 100, **query})
    assert answer.status_code == 200, answer.text
    return [hit["product_id"] for hit in answer.json()["hits"]]


def looks_like(client, seed):
    return found(client, image=as_base64(make_picture(seed)))


def error(answer):
    assert answer.status_code >= 400
    content = answer.json()["error"]
    return answer.status_code, content["code"], content["field"]


def put(client, product_id, /, **fields):
    return client.put(f"/v1/products/{product_id}", json=fields)


def test_a_product_that_was_put_in_is_found_shown_and_replaced(client):
    product = body(500, attributes={"colour": "violet", "kind": ""}, price=3, lang="en")
    kept = client.put("/v1/products", json={"product_id": "new/1", **product})
    assert (kept.status_code, kept.json()) == (200, {"product_id": "new/1", "result": "created"})
    assert looks_like(client, 500)[0] == "new/1"
    assert "new/1" in found(client, text="violet hat")
    assert found(client, text="hat", filter={"colour": "violet"}) == ["new/1"]
    shown = client.get("/v1/products/new/1").json()
    assert (shown["title"], shown["price"], shown["attributes"]) == (
        "violet hat",
        3.0,
        {"colour": "violet"},
    )
    picture = client.get("/v1/products/new/1/image")
    assert (picture.content, picture.headers["content-type"]) == (make_picture(500), "image/png")
    assert client.get("/v1/products/new/1/image?number=1").status_code == 404
    assert client.get("/v1/facets").json()["facets"]["colour"]["violet"] == 1
    assert client.get("/v1/suggest?q=violet").json()["suggestions"] == ["violet hat"]

    assert put(client, "new/1", **body(501)).json()["result"] == "updated"
    assert looks_like(client, 501)[0] == "new/1"
    again = client.get("/v1/products/new/1/image", headers={"If-None-Match": "x"})
    assert again.content == make_picture(501)
    assert again.headers["etag"] != picture.headers["etag"]
    assert "violet" not in client.get("/v1/facets").json()["facets"]["colour"]
    assert put(client, "new/1", **body(501)).json()["result"] == "unchanged"


def test_an_upsert_hides_the_catalogues_own_product(client):
    reds = client.get("/v1/facets").json()["facets"]["colour"]["red"]
    old = client.get("/v1/products/p006").json()
    assert old["attributes"]["colour"] == "red"
    put(client, "p006", **body(600, attributes={"colour": "blue", "kind": "shoe"}))
    assert looks_like(client, 600)[0] == "p006"
    assert looks_like(client, 60).count("p006") == 1
    assert looks_like(client, 60)[0] != "p006"
    assert "p006" not in found(client, text="shoe", filter={"colour": "red"})
    assert "p006" in found(client, text="shoe", filter={"colour": "blue", "kind": ["shoe"]})
    assert client.get("/v1/facets").json()["facets"]["colour"]["red"] == reds - 1
    assert client.get("/v1/products/p006/image").content == make_picture(600)


def test_a_product_that_was_taken_out_is_nowhere(client):
    assert client.delete("/v1/products/p009").json() == {"product_id": "p009", "result": "deleted"}
    assert "p009" not in looks_like(client, 90)
    for path in ("p009", "p009/image", "p009/similar"):
        assert error(client.get(f"/v1/products/{path}"))[:2] == (404, "not_found")
    assert error(client.delete("/v1/products/p009")) == (404, "not_found", "product_id")
    assert error(client.delete("/v1/products/nobody")) == (404, "not_found", "product_id")
    explained = client.post("/v1/explain", json={"text": "bag", "product_id": "p009"})
    assert error(explained)[:2] == (404, "not_found")
    assert put(client, "p009", title="is back").json()["result"] == "created"
    assert "p009" in found(client, text="is back")
    several = client.request(
        "DELETE", "/v1/products", json={"product_ids": ["p009", "nobody", "p010"]}
    )
    assert several.status_code == 207
    assert [one["status"] for one in several.json()["answers"]] == [200, 404, 200]
    assert not {"p009", "p010"} & set(found(client, text="bag"))


def test_similar_and_explain_know_what_was_put_in(client):
    put(client, "near", **body(110))  # the picture of p011
    near = client.get("/v1/products/near/similar?limit=3").json()["hits"]
    assert near[0]["product_id"] == "p011"
    back = client.post("/v1/recommend", json={"products": ["p011"], "limit": 3}).json()["hits"]
    assert back[0]["product_id"] == "near"
    why = client.post("/v1/explain", json={"text": "violet hat", "product_id": "near"}).json()
    assert why["drawing"].startswith("<svg")


def test_pages_facets_sorting_and_reasons_hold_for_changed_products(client):
    for number in range(7):
        fields = {"kind": "cap", "brim": str(number)}
        put(client, f"cap{number}", **body(820 + number, attributes=fields, price=100 + number))
    query = {
        "text": "violet hat",
        "filter": {"kind": "cap"},
        "limit": 3,
        "facets": ["brim", "kind"],
    }
    whole = client.post("/v1/search", json={**query, "limit": 100}).json()
    assert whole["facets"]["kind"] == {"cap": 7}
    assert len(whole["facets"]["brim"]) == 7
    seen, cursor = [], None
    while cursor is not None or not seen:
        more = {"cursor": cursor} if cursor else {}
        page = client.post("/v1/search", json=query | more).json()
        seen += [hit["product_id"] for hit in page["hits"]]
        cursor = page["next_cursor"]
    assert seen == [hit["product_id"] for hit in whole["hits"]]
    dear = {"price": {"gte": 104}, "kind": "cap"}
    for field in ("price", "brim"):
        sort = {"field": field, "order": "desc"}
        assert found(client, text="hat", filter=dear, sort=sort) == ["cap6", "cap5", "cap4"]
    explained = client.post("/v1/search", json={**query, "explain": True}).json()["hits"][0]
    assert [word["text"] for word in explained["explanation"]["words"]] == ["violet", "hat"]


def test_many_lines_have_a_status_each(client):
    lines = [json.dumps({"product_id": f"bulk{n}", **body(700 + n)}).encode() for n in range(5)]
    lines[2] = b'{"product_id": "bulk2", "title": 5}'
    lines[3] = b"{no json"
    content = b"\n".join([*lines, b"", lines[0]])
    kind = {"content-type": "application/x-ndjson; charset=utf-8"}
    answer = client.put("/v1/products", content=content, headers=kind)
    assert answer.status_code == 207
    items = answer.json()["answers"]
    assert [one["status"] for one in items] == [200, 200, 400, 400, 200, 200]
    assert [one["error"]["code"] for one in items[2:4]] == ["invalid", "bad_json"]
    assert items[5]["answer"] == {"product_id": "bulk0", "result": "unchanged"}
    assert looks_like(client, 704)[0] == "bulk4"
    fine = client.put("/v1/products", content=b"\n".join(lines[:2]), headers=kind)
    assert fine.status_code == 200


def bomb():
    out = io.BytesIO()
    Image.new("L", (8000, 8000)).save(out, "PNG", optimize=False)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"title": "a", "images": ["%%%"]}, (400, "bad_image", "images.0")),
        (
            {"images": [as_base64(make_picture(1)), as_base64(b"no picture")]},
            (400, "bad_image", "images.1"),
        ),
        ({"images": [as_base64(make_picture(1)[:80])]}, (400, "bad_image", "images.0")),
        ({"images": [as_base64(bomb())]}, (400, "too_large", "images.0")),
        ({"title": "  "}, (400, "empty", "title")),
        ({}, (400, "empty", "title")),
        ({"title": "a", "colour": "red"}, (400, "unknown_field", "colour")),
        ({"title": "a", "price": -1}, (400, "invalid", "price")),
        ({"title": "a", "price": "12"}, (400, "invalid", "price")),
        ({"title": "a", "attributes": {"x": 3}}, (400, "invalid", "attributes.x")),
        ({"title": "a", "attributes": {" ": "3"}}, None),
        ({"title": "a", "product_id": "other"}, (400, "invalid", "product_id")),
    ],
)
def test_what_is_no_product_is_refused(client, content, expected):
    answer = put(client, "refused", **content)
    assert expected is None or error(answer) == expected
    assert answer.status_code == 400
    assert client.get("/v1/products/refused").status_code == 404


def test_an_id_is_needed_somewhere(client):
    assert error(client.put("/v1/products", json={"title": "a"})) == (400, "empty", "product_id")
    answer = client.put("/v1/products", json={"title": "a", "product_id": " "})
    assert error(answer) == (400, "empty", "product_id")
    assert error(client.put("/v1/products/x", content=b'{"title": "\xff"}'))[:2] == (
        400,
        "bad_json",
    )
    assert error(client.request("DELETE", "/v1/products", json={"product_ids": []}))[0] == 400
    assert error(put(client, "p007/image", title="a")) == (400, "invalid", "product_id")


def test_a_full_disk_is_507_and_nothing_is_kept(client, monkeypatch):
    def full(descriptor, data=b""):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("xmodal.journal.os.write", full)
        assert error(put(client, "lost", title="lost hat")) == (507, "not_stored", None)
    assert client.get("/v1/products/lost").status_code == 404
    assert "lost" not in found(client, text="lost hat")
    assert put(client, "lost", title="lost hat").status_code == 200
    assert "lost" in found(client, text="lost hat")


def test_replicas_and_stages_see_each_others_changes(home):
    with serving(home) as one, serving(home) as other, serving(home, apart(home)) as third:
        put(one, "shared", **body(800))
        for reader in (one, other, third):
            assert looks_like(reader, 800)[0] == "shared"
            assert reader.get("/v1/products/shared").json()["title"] == "violet hat"
        assert other.delete("/v1/products/shared").status_code == 200
        for reader in (third, one):
            assert "shared" not in looks_like(reader, 800)
            assert reader.get("/v1/products/shared").status_code == 404


def test_fused_and_spread_answer_alike(home):
    with serving(home) as one, serving(home, apart(home)) as other:
        for number in range(6):
            put(one, f"alike{number}", **body(900 + number, attributes={"kind": "hat"}))
        for query in ({"text": "violet hat"}, {"image": as_base64(make_picture(903))}):
            first, second = (
                reader.post("/v1/search", json={"limit": 30, **query}).json()["hits"]
                for reader in (one, other)
            )
            assert [hit["product_id"] for hit in first] == [hit["product_id"] for hit in second]
            assert [hit["score"] for hit in first] == pytest.approx(
                [hit["score"] for hit in second], abs=1e-4
            )


def test_changes_outlive_a_restart_without_embedding_again(tmp_path, monkeypatch):
    tiny_home(tmp_path)
    with serving(tmp_path) as client:
        put(client, "kept", **body(810))
        put(client, "kept", **body(810, price=2))  # another price, the same picture
        client.delete("/v1/products/p003")
    encoder = read_pointer(tmp_path).matcher.fingerprint
    size = sum(f.stat().st_size for f in vectors_folder(tmp_path, encoder).glob("*.log"))
    monkeypatch.setattr("xmodal.index.vectors.load_encoder", None)  # it would fail if called
    with serving(tmp_path) as client:
        assert looks_like(client, 810)[0] == "kept"
        assert client.get("/v1/products/kept").json()["price"] == 2
        assert "p003" not in looks_like(client, 30)
        assert put(client, "kept", **body(810, price=5)).json()["result"] == "updated"
    assert size == sum(f.stat().st_size for f in vectors_folder(tmp_path, encoder).glob("*.log"))


@pytest.mark.parametrize("topology", ["fused", "spread"])
def test_a_release_by_another_encoder_has_them_too(tmp_path, topology):
    tiny_home(tmp_path)
    with serving(tmp_path, apart(tmp_path) if topology == "spread" else None) as client:
        put(client, "kept", **body(810))
        put(client, "titled", title="only words")
        client.delete("/v1/products/p003")
        second = add_release(tmp_path, current_catalog(tmp_path), seed=1)
        client.portal.call(client.service.holder.follow)
        assert client.get("/readyz").json()["release"] == second.id
        assert looks_like(client, 810)[0] == "kept"
        assert "titled" in found(client, text="only words")
        assert "p003" not in looks_like(client, 30)
        hits = client.post("/v1/search", json={"image": as_base64(make_picture(810))}).json()
        assert hits["hits"][0]["score"] == pytest.approx(1, abs=1e-3)


def test_a_release_with_the_changes_folded_in_goes_on_from_there(tmp_path):
    first = tiny_home(tmp_path)
    with serving(tmp_path) as client:
        put(client, "kept", **body(810, attributes={"kind": "hat"}))
        client.delete("/v1/products/p003")
        folded = fold_changes(tmp_path, current_catalog(tmp_path))
        put(client, "later", **body(811))
        encoder = load_encoder(first.matcher_folder(tmp_path) / "encoder")
        store, indexes = embed(folded, encoder, tmp_path / "store"), tmp_path / "indexes"
        index = build_index(store, folded, encoder, first.matcher.fingerprint, indexes)
        parts = {"index": index.facts.id, "catalog": folded.manifest.id}
        second = make_release(tmp_path, first.matcher, settings="s", gate={}, **parts)
        for release in (second, first, second):  # there, back, and there again
            move_pointer(tmp_path, release)
            client.portal.call(client.service.holder.follow)
            assert client.get("/readyz").json()["release"] == release.id
            assert [looks_like(client, seed)[0] for seed in (810, 811)] == ["kept", "later"]
            assert client.get("/v1/products/kept/image").content == make_picture(810)
            assert client.get("/v1/facets").json()["facets"]["kind"]["hat"] == 1
            assert "p003" not in looks_like(client, 30)
        assert set(client.service.holder.live.part.live.changes.newest) == {"later"}
        assert client.delete("/v1/products/kept").status_code == 200
        assert "kept" not in looks_like(client, 810)


def test_a_damaged_change_is_reported_and_the_others_count(tmp_path):
    tiny_home(tmp_path)
    with serving(tmp_path) as client:
        for number in range(3):
            put(client, f"kept{number}", title=f"title {number}")
    segment = max(products_folder(tmp_path).glob("*.log"))
    segment.write_bytes(segment.read_bytes().replace(b"title 1", b"title 7"))
    with serving(tmp_path) as client:
        assert str(segment) in client.get("/readyz").json()["problem"]
        assert {"kept0", "kept2"} <= set(found(client, text="title"))
        assert client.get("/v1/products/kept1").status_code == 404


def test_a_service_that_is_killed_loses_no_change_that_it_acknowledged(tmp_path):
    tiny_home(tmp_path)
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    last = max(int(writer.stdout.readline()) for _ in range(20))
    writer.send_signal(signal.SIGKILL)
    last = max([last, *map(int, writer.stdout.read().split())])
    writer.wait()
    writer.stdout.close()
    segment = max(products_folder(tmp_path).glob("*.log"))
    with segment.open("ab") as file:
        file.write(b"XMJ1 torn")
    with serving(tmp_path) as client:
        hits = found(client, text="crash shoe", filter={"made": "now"})
        assert set(hits) >= {f"c{number}" for number in range(last + 1)}
        assert put(client, "after", title="after the crash").status_code == 200
        assert "after" in found(client, text="after the crash")
