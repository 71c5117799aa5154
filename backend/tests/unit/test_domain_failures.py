"""Classes of failure, and advice that a retry can take."""

from __future__ import annotations

import pytest

from headway.domain.failures import FailureClass, advise, classify_error, classify_exit

F = FailureClass

ERRORS = [
    ("MemoryError", "", F.OOM),
    ("torch.OutOfMemoryError", "CUDA out of memory. Tried to allocate 2 GiB", F.OOM),
    ("RuntimeError", "CUDA error: out of memory", F.OOM),
    ("RuntimeError", "[enforce fail] DefaultCPUAllocator: can't allocate memory", F.OOM),
    ("RuntimeError", "CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate", F.OOM),
    ("numpy._core._exceptions._ArrayMemoryError", "Unable to allocate 3 GiB", F.OOM),
    ("OSError", "[Errno 28] No space left on device", F.DISK_FULL),
    ("OSError", "[Errno 122] Disk quota exceeded", F.DISK_FULL),
    ("headway.errors.DivergedError", "loss is not finite", F.DIVERGED),
    ("httpx.ConnectError", "[Errno -2] Name or service not known", F.NETWORK),
    ("httpx.ReadTimeout", "", F.NETWORK),
    ("ConnectionResetError", "[Errno 104] Connection reset by peer", F.NETWORK),
    ("urllib3.exceptions.ReadTimeoutError", "Read timed out.", F.NETWORK),
    ("aiohttp.client_exceptions.ServerDisconnectedError", "Server disconnected", F.NETWORK),
    ("aiohttp.client_exceptions.ServerTimeoutError", "Timeout on reading data from socket", F.NETWORK),
    ("requests.exceptions.ChunkedEncodingError", "IncompleteRead(5 bytes read, 7 more expected)", F.NETWORK),
    ("OSError", "[Errno 101] Network is unreachable", F.NETWORK),
    ("TimeoutError", "", F.TIMEOUT),
    ("ValueError", "shapes do not match", F.UNKNOWN),
]


@pytest.mark.parametrize(("error_type", "message", "expected"), ERRORS)
def test_an_error_is_told_by_its_type_and_words(error_type, message, expected):
    assert classify_error(None, error_type, message) is expected


def test_what_the_raiser_declares_wins():
    assert classify_error("NETWORK", "MemoryError", "out of memory") is F.NETWORK
    assert classify_error("NO_SUCH_CLASS", "MemoryError", "") is F.OOM


@pytest.mark.parametrize(
    ("status", "by_kernel", "expected"), [(-9, True, F.OOM), (-9, False, F.WORKER_LOST), (3, False, F.WORKER_LOST)]
)
def test_an_exit_without_a_result_is_told_by_its_status(status, by_kernel, expected):
    failure = classify_exit(status, killed_by_kernel=by_kernel)
    assert failure.failure_class is expected
    assert by_kernel or str(abs(status)) in failure.message


def test_every_class_that_a_person_can_mend_has_advice():
    assert {failure for failure in F if advise(failure, {}) is None} == {F.CANCELLED, F.UNKNOWN}


@pytest.mark.parametrize(
    ("failure", "config", "patch"),
    [
        (
            F.OOM,
            {"batch_size": 8, "gradient_accumulation_steps": 2},
            {"batch_size": 4, "gradient_accumulation_steps": 4},
        ),
        (F.OOM, {"batch_rows": 4096}, {"batch_rows": 2048}),
        (F.OOM, {"batch_tokens": 4096}, {"batch_tokens": 2048}),
        (F.OOM, {"batch_size": 1}, {}),
        (F.OOM, {"batch_size": True}, {}),
        (F.DIVERGED, {"lr": 0.003, "k": 3}, {"lr": 0.001}),
        (F.NETWORK, {"batch_size": 8}, {}),
    ],
)
def test_the_advised_patch_changes_what_failed_and_nothing_else(failure, config, patch):
    advice = advise(failure, config)
    assert advice
    assert advice.config_patch == pytest.approx(patch)
