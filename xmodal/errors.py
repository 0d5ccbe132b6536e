"""Every error that xmodal raises on purpose, in one tree.

    XmodalError                 exit 1: ours
    ├── StorageError            the disk is full, a file cannot be read or written
    ├── SplitLeak               a part cut here that shares products with train
    ├── IndexDamaged            an index that does not prove itself
    ├── JournalDamaged          a journal without the record that it should have
    ├── DeadlineExceeded        a query's time ran out before it had any answer
    ├── Overloaded              a stage's queue is full
    └── UserError               exit 2: the user can mend it
        ├── SettingsError       a key, a value or a config file
        ├── HomeError           no home, or a home that holds another shop
        ├── CatalogError        a catalogue folder
        ├── QueriesError        a file of judged queries
        ├── MatcherError        a model folder, or a model's name
        ├── UnhealthyRun        a run that cannot learn anything as it stands
        ├── TrainingError       a training that cannot go on as it was set
        ├── IndexMismatch       an index that another encoder made
        ├── QueryError          a search request that cannot be answered
        ├── UnknownProduct      a product id that the catalogue does not have
        ├── FilterError         a filter by an attribute that no product has
        ├── RulesError          a file of rules that cannot be read as one
        ├── RequestError        a part of a request that cannot be granted
        ├── ReleaseError        no release, or no earlier one to go back to
        └── ServiceError        a port in use, a Ray head that is not there

A message is one line: what, where, and how to mend it.
"""


class XmodalError(Exception):
    """What went wrong, in one line that a person can act on."""

    exit_code = 1


class StorageError(XmodalError):
    """Files cannot be written or read where they should be."""


class SplitLeak(XmodalError):
    """A held-out part that was cut here shares products with `train`."""


class IndexDamaged(XmodalError):
    """An index version does not match its own metadata."""


class JournalDamaged(XmodalError):
    """A journal does not have, or no longer has, the record that it should."""


class DeadlineExceeded(XmodalError):
    """The time given to a query ran out before it had any answer."""


class Overloaded(XmodalError):
    """A stage's queue is full."""


class UserError(XmodalError):
    """Something that the user gave, and can mend."""

    exit_code = 2


class SettingsError(UserError):
    """An unknown key, a bad value or an unreadable config file."""


class HomeError(UserError):
    """There is no home, or it holds another shop."""


class CatalogError(UserError):
    """A catalogue folder that cannot be taken in."""


class QueriesError(UserError):
    """Judged queries that cannot be read, or that name unknown products."""


class MatcherError(UserError):
    """A model folder or a model's name that cannot be opened."""


class UnhealthyRun(UserError):
    """The doctor has found, before the first step, what leaves nothing to learn."""


class TrainingError(UserError):
    """A training cannot go on as it was set."""


class IndexMismatch(UserError):
    """An index was built by another encoder than the one at hand."""


class QueryError(UserError):
    """A search request that cannot be answered as it stands."""


class UnknownProduct(UserError):
    """A product id that the catalogue does not have."""


class FilterError(UserError):
    """A filter names an attribute that no product of the catalogue has."""


class RequestError(UserError):
    """A part of a search request that cannot be granted: which, and a word for programs."""

    def __init__(self, message: str, field: str | None = None, code: str = "invalid") -> None:
        super().__init__(message)
        self.field, self.code = field, code


class RulesError(UserError):
    """A file of business rules with a fault in it."""


class ReleaseError(UserError):
    """A release that is not there."""


class ServiceError(UserError):
    """The service cannot start or be reached."""
