"""xmodal/matcher/{graphs,export,forms,compress}.py: a form gives the encoder's vectors."""

import shutil
from dataclasses import replace

import pytest
import torch

from tests.factories import CAPTIONS, make_picture, tiny_encoder
from xmodal.errors import MatcherError
from xmodal.matcher.compress import prune, quantise_dynamic, quantise_static, text_layers
from xmodal.matcher.export import export_graph, export_towers
from xmodal.matcher.forms import IMAGE_FILE, INPUTS, TEXT_FILE, FormFacts, load_form
from xmodal.matcher.graphs import ImageGraph
from xmodal.matcher.parity import TOLERANCE, check_form_parity

pytest.importorskip("onnxscript", reason="needs the extra `export`")
TEXTS = [*CAPTIONS, "a long red shoe and a blue bag of many words", "", "鞋"]


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(1)
    encoder = tiny_encoder(text_layers=4)
    encoder.spec = replace(encoder.spec, mirrored=True)
    for weight in encoder.tuned.parameters():  # as after training: tuned is not the base
        weight.data += 0.02 * torch.randn_like(weight)
    return encoder


@pytest.fixture(scope="module")
def folder(encoder, tmp_path_factory):
    return save_form(encoder, tmp_path_factory.mktemp("form"))


@pytest.fixture(scope="module")
def form(folder):
    return load_form(folder)


def save_form(encoder, folder):
    export_towers(encoder, folder, with_tokens=True)
    (folder / INPUTS).mkdir()
    encoder.spec.save(folder / INPUTS / "spec.json")
    encoder.vocabulary.save(folder / INPUTS / "vocabulary.json")
    encoder.save_parts(folder / INPUTS)
    FormFacts("onnx", "e0", has_tokens=True).save(folder)
    return folder


def pixels(encoder, count):
    return encoder.inputs.images([make_picture(seed) for seed in range(count)])


@pytest.mark.parametrize("count", [1, 3, len(TEXTS)])
def test_texts_of_any_number_and_length(encoder, form, count):
    with torch.inference_mode():
        want = encoder.encode_text(encoder.inputs.texts(TEXTS[:count]))
    assert torch.allclose(form.encode_text(form.inputs.texts(TEXTS[:count])), want, atol=1e-5)


@pytest.mark.parametrize("count", [1, 5])
def test_pictures_of_any_number_and_their_tokens(encoder, form, count):
    seen = pixels(encoder, count)
    with torch.inference_mode():
        vector, tokens = encoder.image_head_and_tokens(encoder.image_trunk(seen))
    found = form.image_and_tokens(seen)
    assert torch.allclose(found[0], vector, atol=1e-5)
    assert torch.allclose(found[1], tokens, atol=1e-4)


def test_a_fresh_process_agrees(folder, form):
    worst, peak_bytes = check_form_parity(folder, form)
    assert worst <= TOLERANCE
    assert peak_bytes > 1e7


def test_a_changed_file_is_named(folder, tmp_path):
    damaged = shutil.copytree(folder, tmp_path / "damaged")
    (damaged / TEXT_FILE).write_bytes((damaged / TEXT_FILE).read_bytes()[:-1])
    with pytest.raises(MatcherError, match=r"text\.onnx is missing or changed"):
        load_form(damaged)


def test_int8_stays_near(encoder, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "int8")
    quantise_dynamic(folder / TEXT_FILE, tmp_path / "int8" / TEXT_FILE)
    quantise_static(folder / IMAGE_FILE, tmp_path / "int8" / IMAGE_FILE, pixels(encoder, 40))
    FormFacts("int8", "e0", has_tokens=True).save(tmp_path / "int8")
    small, whole = load_form(tmp_path / "int8"), load_form(folder)
    seen, said = pixels(encoder, 8), whole.inputs.texts(TEXTS)
    assert (small.encode_image(seen) * whole.encode_image(seen)).sum(1).mean() > 0.9
    assert (small.encode_text(said) * whole.encode_text(said)).sum(1).mean() > 0.98
    size = sum(path.stat().st_size for path in (tmp_path / "int8").glob("*.onnx"))
    assert size < sum(path.stat().st_size for path in folder.glob("*.onnx"))


def test_an_operator_without_translation_is_named(encoder, tmp_path):
    graph = ImageGraph(encoder)
    graph.forward = lambda pixels_BCHW: torch.linalg.eigh(
        pixels_BCHW.float() @ pixels_BCHW.float().transpose(2, 3)
    )[0]
    with pytest.raises(MatcherError, match="image tower of 'offline' cannot be exported.*eigh"):
        export_graph(graph, tmp_path / IMAGE_FILE)
    assert not (tmp_path / IMAGE_FILE).exists()


def test_pruning_leaves_half_of_the_layers_and_the_rest_untouched(encoder):
    pruned = prune(encoder)
    assert len(text_layers(pruned)) == 2
    assert len(text_layers(encoder)) == 4
    seen = pixels(encoder, 2)
    with torch.inference_mode():
        assert torch.equal(pruned.encode_image(seen), encoder.encode_image(seen))
