"""serve/embeddings.py: OpenAI's shape, by its own client; texts, pictures, prefixes."""

import base64

import numpy as np
import pytest
from starlette.testclient import TestClient

from serve.api import make_api
from serve.service import Service
from serve.shelves import fused
from tests.factories import make_picture
from tests.homes import tiny_home

openai = pytest.importorskip("openai", reason="needs the `openai` client")


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    tiny_home(home)
    service = Service(home, fused(home, depth=10), deadline_ms=30_000)
    with TestClient(make_api(service), raise_server_exceptions=False) as client:
        client.portal.call(service.holder.start)
        yield client
        client.portal.call(service.holder.stop)


@pytest.fixture(scope="module")
def official(client):
    return openai.OpenAI(base_url="http://testserver/v1", api_key="none", http_client=client)


def post(client, **body):
    return client.post("/v1/embeddings", json={"model": "xmodal", **body})


def vectors(answer):
    return np.array([one["embedding"] for one in answer.json()["data"]])


def picture(seed=3):
    return base64.b64encode(make_picture(seed)).decode()


def test_the_official_client_reads_it(official, client):
    found = official.embeddings.create(model="xmodal", input=["red shoe", "红色鞋子"])
    assert [one.index for one in found.data] == [0, 1]
    assert found.usage.total_tokens == 6
    assert found.model == "xmodal/1"
    np.testing.assert_allclose(np.linalg.norm(found.data[0].embedding), 1, atol=1e-5)
    plain = vectors(post(client, input=["red shoe", "红色鞋子"]))
    np.testing.assert_allclose([one.embedding for one in found.data], plain, atol=1e-6)


def test_a_picture_is_the_same_however_it_is_given(client):
    mixed = vectors(post(client, input=[{"text": "red shoe"}, {"image": picture()}]))
    alone = vectors(post(client, input=picture(), modality="image"))
    as_url = vectors(post(client, input=[{"image": f"data:image/png;base64,{picture()}"}]))
    np.testing.assert_allclose(mixed[1], alone[0], atol=1e-6)
    np.testing.assert_allclose(as_url[0], alone[0], atol=1e-6)
    assert not np.allclose(mixed[0], mixed[1])


def test_a_prefix_is_a_unit_vector_of_its_own(client):
    whole, cut = (
        vectors(post(client, input="bag"))[0],
        vectors(post(client, input="bag", dimensions=4)),
    )
    np.testing.assert_allclose(cut[0], whole[:4] / np.linalg.norm(whole[:4]), atol=1e-6)


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"input": ""}, "empty", "input"),
        ({"input": ["bag", "  "]}, "empty", "input.1"),
        ({"input": "x" * 1001}, "too_large", "input.0"),
        ({"input": ["%%%"], "modality": "image"}, "bad_image", "input.0"),
        ({"input": [{"image": base64.b64encode(b"no picture").decode()}]}, "bad_image", "image"),
        ({"input": "bag", "dimensions": 17}, "too_large", "dimensions"),
        ({"input": ["bag"] * 129}, "too_large", "input"),
        ({"input": "bag", "colour": "red"}, "unknown_field", "colour"),
        ({"input": []}, "empty", "input"),
        ({}, "invalid", "input"),
    ],
)
def test_what_cannot_be_embedded_is_named(client, body, code, field):
    answer = post(client, **body)
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert (error["code"], error["field"].split(".", 2)[0]) == (code, field.split(".")[0])
