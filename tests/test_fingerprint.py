"""xmodal/fingerprint.py: same content, same name."""

from hashlib import blake2b

from xmodal import fingerprint


def test_bytes_have_sixteen_digits_of_blake2b():
    assert fingerprint.of_bytes(b"shoe") == blake2b(b"shoe", digest_size=8).hexdigest()
    assert len(fingerprint.of_bytes(b"")) == 16


def test_the_order_of_keys_does_not_count():
    assert fingerprint.of_json({"a": 1, "b": 2}) == fingerprint.of_json({"b": 2, "a": 1})
    assert fingerprint.of_json([1, 2]) != fingerprint.of_json([2, 1])


def test_a_file_is_its_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"shoe" * 1_000_000)
    assert fingerprint.of_file(tmp_path / "a") == fingerprint.of_bytes(b"shoe" * 1_000_000)


def test_a_folder_is_names_and_bytes(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "file").write_text("shoe")
    before = fingerprint.of_folder(tmp_path / "one")
    assert before == fingerprint.of_folder(tmp_path / "two")
    (tmp_path / "two" / "sub" / "file").rename(tmp_path / "two" / "sub" / "other")
    assert before != fingerprint.of_folder(tmp_path / "two")


def test_running_parts_are_kept_apart():
    def of(*values):
        running = fingerprint.Running()
        for value in values:
            running.add(value)
        return running.hexdigest()

    assert of(1, 23) != of(12, 3)
    assert of(1, 23) == of(1, 23)


def test_the_code_names_its_version():
    assert fingerprint.code_version().startswith("0.")
