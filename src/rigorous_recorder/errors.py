"""All errors and warnings of the library: a common base class, and the builtin that fits."""

from __future__ import annotations

import pickle

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "AttachedError",
    "AttributeTypeWarning",
    "BusyError",
    "ClosedError",
    "ColumnError",
    "ColumnWarning",
    "CompactedError",
    "CycleError",
    "DamagedFileError",
    "DamagedFileWarning",
    "DeletedError",
    "DeviceWarning",
    "EndedError",
    "EnteredError",
    "IncompleteCopyWarning",
    "KeyNotTextError",
    "ManyKeysWarning",
    "MissingPackageError",
    "MixedKindsWarning",
    "NewerFormatError",
    "NotACollectionError",
    "NotEnoughMemoryError",
    "NotPicklableError",
    "NotStartedError",
    "PendingRecordWarning",
    "ReadOnlyError",
    "RecordIndexError",
    "ReservedKeyError",
    "RigorousError",
    "RigorousWarning",
    "RunningError",
    "SaveError",
    "StorageWarning",
    "TooLargeError",
    "UnknownAttributeError",
    "UnknownExperimentError",
    "UnknownFileTypeError",
    "UnknownViewError",
    "UnsafePickleError",
    "UnsupportedSystemError",
    "UnsupportedTypeError",
    "UnsupportedValueError",
]


class RigorousError(Exception):
    """Base of every error that this library raises on purpose."""


class KeyNotTextError(RigorousError, TypeError):
    """A key of a record, or of a recorder's attributes, is not a ``str``."""


class UnsupportedTypeError(RigorousError, TypeError):
    """A value's type can't be stored."""


class UnsupportedValueError(RigorousError, ValueError):
    """A value's type can be stored, but this value could not be read back unchanged."""


class ClosedError(RigorousError, ValueError):
    """The collection was closed before the call."""


class ColumnError(RigorousError, ValueError):
    """A column does not exist, is ambiguous, or can't be drawn."""


class BusyError(RigorousError, RuntimeError):
    """A signal handler would close the collection in the middle of a change to it."""


class ArgumentError(RigorousError, ValueError):
    """An argument has a value that is not valid."""


class CycleError(RigorousError, ValueError):
    """A recorder would become its own ancestor."""


class AttachedError(RigorousError, ValueError):
    """A recorder whose records are stored in one collection can't move to another."""


class NotACollectionError(RigorousError, ValueError):
    """The folder exists, and something other than a collection is in it."""


class NewerFormatError(RigorousError, ValueError):
    """The collection has a format, or uses a feature, of a newer version of this library."""


class DeletedError(RigorousError, RuntimeError):
    """Records were deleted, and compacted away, while they were being read."""


class CompactedError(RigorousError, RuntimeError):
    """Files were merged, or records moved, while a result was read in parts: query again."""


class DamagedFileError(RigorousError, ValueError):
    """A file can't be read back."""


class NotEnoughMemoryError(RigorousError, MemoryError):
    """A file needs more memory to load than there is."""


class TooLargeError(RigorousError, MemoryError):
    """A table would exceed memory, since rows repeat what they inherit."""


class UnknownFileTypeError(RigorousError, ValueError):
    """The suffix of a path is not a format that can be saved or loaded."""


class UnsafePickleError(RigorousError, pickle.UnpicklingError):
    """A pickle contains something other than plain values and known recorders."""


class ReservedKeyError(RigorousError, ValueError):
    """A key is reserved for attributes that a collection sets on experiments itself."""


class NotPicklableError(RigorousError, TypeError):
    """An object can't be pickled or copied; the message names what can be."""


class RunningError(RigorousError, ValueError):
    """A running experiment can't be resumed or deleted."""


class _UnknownKeyError(RigorousError, KeyError):
    def __str__(self) -> str:
        """The message, without the quotes of a ``KeyError``."""
        return Exception.__str__(self)


class UnknownAttributeError(_UnknownKeyError):
    """A recorder has no attribute of its own with this key."""


class UnknownExperimentError(_UnknownKeyError):
    """No experiment has this number."""


class UnknownViewError(_UnknownKeyError):
    """There is no named view of this name."""


class ArgumentTypeError(RigorousError, TypeError):
    """An argument has a type that is not valid."""


class EnteredError(RigorousError, RuntimeError):
    """A run is entered a second time."""


class NotStartedError(RigorousError, AttributeError):
    """A run is used before it is started, or ended by a process that did not start it."""


class EndedError(RigorousError, RuntimeError):
    """A run that has ended is ended again with another status."""


class RecordIndexError(RigorousError, IndexError):
    """There is no record at this index."""


class ReadOnlyError(RigorousError, TypeError):
    """Rows are read-only (change a copy), and so is a collection that was opened read-only."""


class SaveError(RigorousError, OSError):
    """The folder can't be written, or data that waits in memory could not be saved."""


class MissingPackageError(RigorousError, ImportError):
    """An optional package is not installed; the message has the line to install it."""


class UnsupportedSystemError(RigorousError, ImportError):
    """The operating system lacks what writing records needs, as Windows does."""


class RigorousWarning(UserWarning):
    """Base of every warning of this library."""


class AttributeTypeWarning(RigorousWarning):
    """The type of an attribute can't be stored: its repr is stored as text."""


class ColumnWarning(RigorousWarning):
    """A column in a condition does not exist yet."""


class DamagedFileWarning(RigorousWarning):
    """A file of the collection can't be read; everything else can."""


class IncompleteCopyWarning(DamagedFileWarning):
    """A collection was copied while it was logged to, and the copy is incomplete."""


class StorageWarning(RigorousWarning):
    """The folder can't be written at present; data waits in memory for a retry."""


class ManyKeysWarning(RigorousWarning):
    """Very many different keys were logged: a number in a key is better a value."""


class MixedKindsWarning(RigorousWarning):
    """A query uses a key that also has values of other kinds, which are in separate columns."""


class PendingRecordWarning(RigorousWarning):
    """Fields passed to ``add`` were not committed when the experiment ended."""


class DeviceWarning(RigorousWarning):
    """Values on a device, such as a GPU, could not be fetched: they read as missing."""
