from __future__ import annotations

import inspect
import re

import pytest
import torch

from memla import errors
from memla.errors import (
    DataError,
    DeviceError,
    MemlaError,
    SubjectNotFoundError,
    device_failure,
)


def all_errors():
    return {
        name: value
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, Exception)
    }


def test_every_error_is_caught_as_a_memla_error():
    assert all(issubclass(error, MemlaError) for error in all_errors().values())


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes():
    drawn = dict.fromkeys(re.findall(r"\b(\w+Error)\b", errors.__doc__.split("Catch")[0]))
    assert set(drawn) == set(all_errors())


def test_an_error_says_what_is_wrong_and_the_way_out():
    error = SubjectNotFoundError("subject '曼谷' is not in prompt '巴黎'", hint="put {} there")
    assert str(error) == "subject '曼谷' is not in prompt '巴黎' (put {} there)"
    assert error.message == "subject '曼谷' is not in prompt '巴黎'"
    assert error.hint == "put {} there"


def test_an_error_needs_no_hint():
    with pytest.raises(DataError) as caught:
        raise DataError("ไม่มีไฟล์")
    assert str(caught.value) == "ไม่มีไฟล์"
    assert caught.value.hint is None


def test_what_torch_says_of_memory_is_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 52)
    for error in (caught.value, torch.OutOfMemoryError("CUDA out of memory."), MemoryError()):
        found = device_failure(error)
        assert isinstance(found, DeviceError)
        assert "memory" in found.message.lower()
        assert "--batch-size" in found.hint


def test_a_gpu_that_fails_once_is_not_asked_again():
    found = device_failure(torch.AcceleratorError("CUDA error: device-side assert triggered"))
    assert "device-side assert" in found.message
    assert "start again" in found.hint


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (1x2 and 3x4)"),
        ValueError("the text speaks of being out of memory"),
        DataError("out of memory.json is missing"),
    ],
)
def test_other_errors_tell_nothing_of_the_device(error):
    assert device_failure(error) is None
