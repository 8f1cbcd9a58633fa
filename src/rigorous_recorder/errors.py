"""Every error and warning of the library: one base class, each also the fitting builtin."""

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
    "UnsafePickleError",
    "UnsupportedSystemError",
    "UnsupportedTypeError",
    "UnsupportedValueError",
]


class RigorousError(Exception):
    """Base of every error that this library raises on purpose."""


class KeyNotTextError(RigorousError, TypeError):
    """A key of a record, or of a recorder's data, is not a ``str``."""


class UnsupportedTypeError(RigorousError, TypeError):
    """A value is of a type that a record can't store."""


class UnsupportedValueError(RigorousError, ValueError):
    """A value is of a type that is stored, but this one could not be read back as it is."""


class ClosedError(RigorousError, ValueError):
    """The collection was closed before the call."""


class ColumnError(RigorousError, ValueError):
    """A column that is named is not there, could be another one as well, or can't be drawn."""


class BusyError(RigorousError, RuntimeError):
    """A signal handler would close the collection in the middle of a change to it."""


class ArgumentError(RigorousError, ValueError):
    """An argument is a value that the call can do nothing with."""


class CycleError(RigorousError, ValueError):
    """A recorder would become its own ancestor."""


class AttachedError(RigorousError, ValueError):
    """A recorder whose records are stored in one collection can't move to another."""


class NotACollectionError(RigorousError, ValueError):
    """The folder exists, and something other than a collection is in it."""


class NewerFormatError(RigorousError, ValueError):
    """The collection has a format, or uses a feature, of a newer version of this library."""


class DeletedError(RigorousError, RuntimeError):
    """Records were deleted, and compacted away, while they were read."""


class CompactedError(RigorousError, RuntimeError):
    """Files were merged, or records moved, while a result was read part by part: ask again."""


class DamagedFileError(RigorousError, ValueError):
    """A file can't be read back as what it should be."""


class NotEnoughMemoryError(RigorousError, MemoryError):
    """A file that is loaded asks for more memory than there is."""


class TooLargeError(RigorousError, MemoryError):
    """A table would be larger than memory, since rows repeat what they inherit."""


class UnknownFileTypeError(RigorousError, ValueError):
    """The suffix of a path names no format that can be saved or loaded."""


class UnsafePickleError(RigorousError, pickle.UnpicklingError):
    """A pickle asks for something other than plain values and known recorders."""


class ReservedKeyError(RigorousError, ValueError):
    """A key that a collection says of every experiment itself."""


class NotPicklableError(RigorousError, TypeError):
    """Something can't be given to another process, or copied; the message has what can be."""


class RunningError(RigorousError, ValueError):
    """An experiment that still runs can't be resumed, nor deleted."""


class _UnknownKeyError(RigorousError, KeyError):
    def __str__(self) -> str:
        """The message, without the quotes that a ``KeyError`` puts around it."""
        return Exception.__str__(self)


class UnknownAttributeError(_UnknownKeyError):
    """A recorder has no attribute of its own under that key."""


class UnknownExperimentError(_UnknownKeyError):
    """No experiment has that number."""


class ArgumentTypeError(RigorousError, TypeError):
    """An argument is of a type that the call can do nothing with."""


class EnteredError(RigorousError, RuntimeError):
    """A run is entered a second time."""


class NotStartedError(RigorousError, AttributeError):
    """A run is used before it is started, or ended by a process that did not start it."""


class EndedError(RigorousError, RuntimeError):
    """A run that has ended is to end in another way."""


class RecordIndexError(RigorousError, IndexError):
    """There is no record at that index."""


class ReadOnlyError(RigorousError, TypeError):
    """A row of records can't be changed (a copy of it can), nor what was opened read-only."""


class SaveError(RigorousError, OSError):
    """The folder can't be written, or data that waits in memory still can't be."""


class MissingPackageError(RigorousError, ImportError):
    """An optional package is not installed; the message is the line that installs it."""


class UnsupportedSystemError(RigorousError, ImportError):
    """The operating system lacks what records are written with, as Windows does."""


class RigorousWarning(UserWarning):
    """Base of every warning of this library."""


class AttributeTypeWarning(RigorousWarning):
    """An attribute is of a type that can't be stored: its repr is stored as text."""


class ColumnWarning(RigorousWarning):
    """A column that a condition names is not there yet."""


class DamagedFileWarning(RigorousWarning):
    """A file of the collection can't be read; everything else still is."""


class IncompleteCopyWarning(DamagedFileWarning):
    """A collection is a copy that was made while it was logged to, and lacks a part of it."""


class StorageWarning(RigorousWarning):
    """The folder can't be written for now; data waits in memory and is tried again."""


class MixedKindsWarning(RigorousWarning):
    """A query uses a key that also has values of other kinds; they are in columns of their own."""


class PendingRecordWarning(RigorousWarning):
    """Fields given to ``add`` were never committed when the experiment ended."""


class DeviceWarning(RigorousWarning):
    """Values on a device, such as a GPU, could not be fetched: they read as missing."""
