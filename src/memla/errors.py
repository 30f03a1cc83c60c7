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
    ├── DeviceError               a device that fails
    │   └── DeviceMemoryError     its memory does not suffice
    └── MissingExtraError         an optional dependency is not installed

Catch ``MemlaError`` to catch them all. On the command line each becomes two lines on stderr
and exit status 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


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
    """A device that fails; nothing more can be done with it in this process."""


class DeviceMemoryError(DeviceError):
    """A device whose memory does not suffice; for something smaller it may."""


class MissingExtraError(MemlaError):
    """An optional dependency that is not installed."""


def device_failure(error: Exception) -> DeviceError | None:
    """What an error of torch tells of the device; None: it is of something else.

    Out of memory, and what a GPU reports once and for all, says nothing about the edit or the
    question that met it.
    """
    kind, text = type(error).__name__, " ".join(str(error).split())
    is_of_torch = isinstance(error, RuntimeError)
    if isinstance(error, MemoryError) or (is_of_torch and any(one in text for one in _OF_MEMORY)):
        return DeviceMemoryError(
            f"the memory does not suffice: {text[:300] or kind}",
            hint="weights in bfloat16 need half of it, and an evaluation less "
            "with a smaller --batch-size",
        )
    # Before AcceleratorError there was, torch raised a mere RuntimeError.
    if kind == "AcceleratorError" or (is_of_torch and text.startswith("CUDA error:")):
        return DeviceError(
            f"the device failed: {text[:300]}",
            hint="nothing more can be done with it in this process; start again",
        )
    return None


@contextmanager
def device_errors() -> Iterator[None]:
    """Turn what torch says of a device into a `DeviceError`, in a block or a whole function.

    Raises:
        DeviceError: The device failed, or its memory does not suffice.
    """
    try:
        yield
    except Exception as error:
        failure = device_failure(error)
        if failure is None:
            raise
        try:
            raise failure from error
        finally:
            # Together with its own traceback it would keep alive what did not fit in the memory.
            del failure


_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "std::bad_alloc",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "Invalid buffer size",
)
"""What errors of torch say: on a CPU, on that of Windows, on a GPU and in C++, in the libraries of
CUDA, and on Apple's GPUs."""
