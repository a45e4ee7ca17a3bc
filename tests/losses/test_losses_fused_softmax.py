"""The kernels give cross-entropy's value and gradients: on a GPU, or slowly anywhere with TRITON_INTERPRET=1."""

import os

import pytest
import torch
import torch.nn.functional as F

from recsys.losses import FullSoftmax
from recsys.losses.full_softmax import _fused

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
CASES = [(1, 1, 16), (5, 300, 7), (130, 1000, 20), (3, 129, 100), (70, 64, 128)]


@pytest.fixture
def fused():
    pytest.importorskip("triton")
    if not CUDA and os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("no GPU, and TRITON_INTERPRET=1 is not set")
    from recsys.losses.fused_softmax import FusedCrossEntropy

    return FusedCrossEntropy.apply


@pytest.fixture(params=["highest", "high"])
def tolerance(request):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(request.param)
    yield 1e-5 if request.param == "highest" else 1e-2
    torch.set_float32_matmul_precision(before)


def on_device(case, targets, items, dim, dtype=torch.float64):
    return [each.detach().to(DEVICE) for each in case(targets, items, dim=dim, dtype=dtype, scale=0.6)]


def reference(vectors, table, target):
    return F.cross_entropy(vectors @ table[1:].T, target - 1)


def off(ours, theirs):
    """Distance beside the size of what is right."""
    return ((ours.double() - theirs).norm() / theirs.norm().clamp(min=1)).item()


@pytest.mark.parametrize(("targets", "items", "dim"), CASES)
def test_value_and_gradient_of_cross_entropy(fused, case, outcome, tolerance, targets, items, dim):
    vectors, table, target = on_device(case, targets, items, dim)
    theirs = outcome(reference, vectors.requires_grad_(), table.requires_grad_(), target)
    vectors, table = (each.detach().float().requires_grad_() for each in (vectors, table))
    ours = outcome(lambda *given: fused(*given, torch.float32), vectors, table, target)
    assert max(off(*pair) for pair in zip(ours, theirs, strict=True)) < tolerance
    assert not ours[2][0].any()  # padding


@pytest.mark.skipif(not CUDA, reason="Triton's interpreter multiplies the bits of bfloat16")
def test_bfloat16_is_near_and_a_frozen_table_stays(fused, case, outcome):
    vectors, table, target = on_device(case, 70, 3000, 64)
    theirs = outcome(reference, vectors.requires_grad_(), table.requires_grad_(), target)
    vectors, table = vectors.detach().float().requires_grad_(), table.detach().float().requires_grad_()
    with torch.autocast("cuda", torch.bfloat16):
        ours = outcome(FullSoftmax(), vectors, table, target)
        frozen = outcome(FullSoftmax(), vectors, table.requires_grad_(False), target)
    assert max(off(*pair) for pair in zip(ours, theirs, strict=True)) < 0.02
    assert torch.equal(ours[1], frozen[1])


@pytest.mark.skipif(not CUDA, reason="no GPU")
def test_a_gpu_takes_the_kernels_where_they_can_be_had():
    pytest.importorskip("triton")
    device = torch.device("cuda", 0)
    assert _fused(device, torch.float32, 64, "high") is not None
    assert _fused(device, torch.float64, 64, "high") is None
    assert _fused(device, torch.float32, 200, "high") is None


@pytest.mark.skipif(CUDA, reason="a GPU is here")
def test_without_kernels_there_are_tiles_and_it_is_said_once(recwarn):
    _fused.cache_clear()
    for _ in range(2):
        assert _fused(torch.device("cuda"), torch.float32, 8, "high") is None
    assert ["Triton kernels" in str(warning.message) for warning in recwarn] == [True]
    _fused.cache_clear()
