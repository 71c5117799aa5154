"""The quick ways to find things are exact."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.ml.sae.largest import largest
from headway.ml.sae.places import places
from headway.ml.sae.sparse import is_fast


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 9),
    d=st.sampled_from([8, 60, 96, 384, 1000, 1024]),
    k=st.integers(1, 8),
    steps=st.sampled_from([3, 1000]),
)
def test_the_largest_of_each_row_are_those_of_a_full_search(seed, rows, d, k, steps):
    # Few steps make many equal values: which of those are taken is free, their values are not.
    pre = torch.randint(-steps, steps, (rows, d), generator=torch.Generator().manual_seed(seed)).float()
    found = largest(pre, k)
    assert torch.equal(found.values.sort(descending=True).values, pre.topk(k).values)
    assert torch.equal(pre.gather(1, found.features), found.values)
    assert all(len(set(row)) == k for row in found.features.tolist())


@given(seed=st.integers(0, 1000), size=st.sampled_from([0, 8, 24, 21, 800]), share=st.sampled_from([0.0, 0.01, 0.5, 1]))
@settings(max_examples=40, deadline=None)
def test_places_are_those_of_nonzero(seed, size, share):
    mask = torch.rand(size, generator=torch.Generator().manual_seed(seed)) < share
    assert torch.equal(places(mask), mask.nonzero().squeeze(1))


def test_float32_is_never_given_up_where_bfloat16_is_emulated(monkeypatch):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert not is_fast(torch.bfloat16, torch.device("cpu"))
    assert is_fast(torch.bfloat16, torch.device("cuda"))
