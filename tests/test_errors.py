"""xmodal/errors.py: the tree and its exit codes."""

import inspect
import re

from xmodal import errors

TREE = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind)}


def test_everything_is_an_xmodal_error():
    assert all(issubclass(kind, errors.XmodalError) for kind in TREE.values())


def test_what_the_user_can_mend_exits_with_two():
    users = {kind.exit_code for kind in TREE.values() if issubclass(kind, errors.UserError)}
    ours = {kind.exit_code for kind in TREE.values() if not issubclass(kind, errors.UserError)}
    assert users == {2}
    assert ours == {1}


def test_the_drawing_names_every_error():
    assert set(re.findall(r"\b[A-Z]\w+[a-z]\w*\b", errors.__doc__ or "")) >= set(TREE)
