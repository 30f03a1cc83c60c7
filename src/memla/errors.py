"""Every error memla raises on purpose.

::

    MemlaError
    ├── SettingError              a setting, option or preset that cannot be
    │   ├── UnknownNameError      no editor, benchmark, model or language of that name
    │   └── LimitError            a request that would exceed a limit of the settings
    ├── DataError                 a file, record or fact that cannot be used
    │   └── SubjectNotFoundError  a prompt without the place of its subject
    ├── ModelError                a model that cannot be loaded
    │   └── UnsupportedArchitectureError   its parts cannot be found, or it is a mixture of experts
    ├── EditError                 an edit that cannot be made or applied
    │   ├── NoNeuronsError        attribution selected nothing to edit
    │   └── EditMismatchError     an edit made for another model
    ├── ServiceError              a web service that refuses, or gives no usable answer
    │   └── IncompleteAnswerError an answer that came too late, or not to its end
    ├── ClusterError              a cluster that cannot be reached, or whose workers fail
    ├── DeviceError               a device that fails, or whose memory is too small
    └── MissingExtraError         an optional dependency is not installed

Catch ``MemlaError`` to catch them all. On the command line each becomes two lines on stderr
and exit status 1.
"""

from __future__ import annotations


class MemlaError(Exception):
    """Base of memla's errors: what is wrong, with the value, and the way out.

    Args:
        message: One sentence that names the thing and its value.
        hint: What the user can do about it.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} ({self.hint})"


class SettingError(MemlaError):
    """A setting, option or preset that cannot be."""


class UnknownNameError(SettingError):
    """No editor, benchmark, model or language has that name."""


class LimitError(SettingError):
    """A request that would exceed a limit of the settings; it was not sent."""


class DataError(MemlaError):
    """A file, record or fact that cannot be used."""


class SubjectNotFoundError(DataError):
    """A prompt that does not say where its subject stands."""


class ModelError(MemlaError):
    """A model that cannot be loaded."""


class UnsupportedArchitectureError(ModelError):
    """A model whose parts cannot be found, or a mixture of experts."""


class EditError(MemlaError):
    """An edit that cannot be made or applied."""


class NoNeuronsError(EditError):
    """Attribution selected no neuron to edit."""


class EditMismatchError(EditError):
    """An edit that was made for another model."""


class ServiceError(MemlaError):
    """A web service that refuses, or gives no usable answer."""


class IncompleteAnswerError(ServiceError):
    """An answer that came too late, or not to its end."""


class ClusterError(MemlaError):
    """A cluster of machines that cannot be reached, or whose workers fail."""


class DeviceError(MemlaError):
    """A device that fails, or whose memory is too small."""


class MissingExtraError(MemlaError):
    """An optional dependency that is not installed."""


def device_failure(error: Exception) -> DeviceError | None:
    """What an error of torch tells of the device; None: it is of something else.

    Out of memory, and what a GPU reports once and for all, says nothing about the edit or the
    question that met it.
    """
    kind, text = type(error).__name__, " ".join(str(error).split())
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in text for words in _OF_MEMORY)
    ):
        return DeviceError(
            f"the memory does not suffice: {text[:300] or kind}",
            hint="a smaller --batch-size needs less, and --dtype bfloat16 half of it",
        )
    if kind == "AcceleratorError":
        return DeviceError(
            f"the device failed: {text[:300]}",
            hint="nothing more can be done with it in this process; start again",
        )
    return None


_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")
"""What errors of torch say on a CPU, on that of Windows, and on a GPU."""
