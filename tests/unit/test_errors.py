from __future__ import annotations

import gc
import inspect
import re
import weakref

import pytest
import torch

from memla import errors
from memla.errors import (
    DataError,
    DeviceError,
    DeviceMemoryError,
    MemlaError,
    SubjectNotFoundError,
    device_errors,
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
    errors = (
        caught.value,
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("Invalid buffer size: 20.00 GiB"),
        RuntimeError("std::bad_alloc"),
        MemoryError(),
    )
    for error in errors:
        found = device_failure(error)
        assert isinstance(found, DeviceMemoryError)
        assert "memory" in found.message.lower()
        assert "--batch-size" in found.hint


@pytest.mark.parametrize("kind", [torch.AcceleratorError, RuntimeError])
def test_a_gpu_that_fails_once_is_not_asked_again(kind):
    found = device_failure(kind("CUDA error: device-side assert triggered"))
    assert type(found) is DeviceError
    assert "device-side assert" in found.message
    assert "start again" in found.hint


def test_what_did_not_fit_in_the_memory_is_let_go_of_with_the_error():
    kept = []

    @device_errors()
    def fill():
        large = torch.zeros(1000)
        kept.append(weakref.ref(large))
        raise torch.OutOfMemoryError("CUDA out of memory.")

    gc.disable()
    try:
        with pytest.raises(DeviceMemoryError):
            fill()
        assert kept[0]() is None
    finally:
        gc.enable()


def test_other_errors_pass_as_they_are():
    with pytest.raises(DataError, match="没有"), device_errors():
        raise DataError("没有")


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
