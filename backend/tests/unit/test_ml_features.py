"""What is kept of firings in bounded memory, held against all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headway.ml.activations.places import Place
from headway.ml.activations.splice import spliced
from headway.ml.features.collector import Collector
from headway.ml.features.firings import Firings
from headway.ml.features.histogram import Histogram
from headway.ml.features.ranking import first_of_groups, largest_sums
from headway.ml.models.load import load_model
from tests.tiny_models import store_tokens, tiny_llama

GROUPS = 5


def test_the_first_of_each_group_are_its_largest_falling() -> None:
    generator = np.random.default_rng(0)
    groups, scores = generator.integers(0, GROUPS, 200), generator.random(200)
    chosen = first_of_groups(groups, scores, 7)
    for group in range(GROUPS):
        found = scores[chosen[groups[chosen] == group]]
        np.testing.assert_array_equal(found, np.sort(scores[groups == group])[::-1][:7])


def test_heavy_tokens_survive_any_number_of_merges_and_miss_little() -> None:
    generator = np.random.default_rng(1)
    slots, vocabulary = 9, 400
    kept = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    whole = np.zeros((GROUPS, vocabulary))
    for _ in range(30):
        groups, keys = generator.integers(0, GROUPS, 500), generator.zipf(1.5, 500) % vocabulary
        weights = generator.random(500)
        np.add.at(whole, (groups, keys), weights)
        kept = largest_sums(
            np.concatenate([kept[0], groups]),
            np.concatenate([kept[1], keys]),
            np.concatenate([kept[2], weights]),
            slots,
        )
    for group in range(GROUPS):
        of_group = kept[0] == group
        assert of_group.sum() <= slots
        bound = whole[group].sum() / (slots + 1)
        missed = whole[group][kept[1][of_group]] - kept[2][of_group]
        assert (missed >= -1e-9).all()
        assert (missed <= bound).all()
        assert set(np.flatnonzero(whole[group] > bound)) <= set(kept[1][of_group])


def test_a_histogram_that_widens_keeps_every_count() -> None:
    generator = np.random.default_rng(2)
    histogram, peaks = Histogram(GROUPS), np.zeros(GROUPS, np.float32)
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    for scale in (0.01, 3.0, 0.5, 40.0):
        groups = generator.integers(0, GROUPS, 3000).astype(np.int32)
        values = (generator.random(3000) * scale + 1e-6).astype(np.float32)
        np.maximum.at(peaks, groups, values)
        histogram.add(groups, values, peaks)
        seen.append((groups, values))
    found = histogram.relative(peaks, 4)
    for group in range(GROUPS):
        values = np.concatenate([values[groups == group] for groups, values in seen])
        exact = np.histogram(values, 4, (0, peaks[group]))[0]
        assert found[group].sum() == len(values)
        assert np.abs(found[group] - exact).max() <= 0.05 * len(values)


def test_the_sample_of_firings_is_drawn_evenly_from_all_of_them(tmp_path) -> None:
    tokens = store_tokens(tmp_path / "tokens", [[1] * 10] * 400, pad=0, special=[])
    collector = Collector(1, tokens, top=1, sample=400)
    for start in range(0, 4000, 1000):
        places = np.arange(start, start + 1000)
        collector.add(Firings(np.zeros(1000, np.int32), places, np.ones(1000, np.float32)))
        collector.fold()
    quarters = np.bincount(collector.sample.firings.places // 1000, minlength=4)
    assert quarters.sum() == 400
    assert (np.abs(quarters - 100) < 40).all()


@pytest.mark.parametrize("hook", ["resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_in", "mlp_out"])
def test_a_splice_changes_what_follows_and_ends_with_its_block(tmp_path, hook) -> None:
    model = load_model(tiny_llama(tmp_path / "model"))
    ids = torch.tensor([[3, 4, 5, 6]])
    places = Place(0, "resid_pre"), Place(1, hook)
    with torch.no_grad():
        before = model(ids).last_hidden_state
        with spliced(model, *places, lambda _source, target: target):
            unchanged = model(ids).last_hidden_state
        with spliced(model, *places, lambda source, _target: 5 * source):
            changed = model(ids).last_hidden_state
        after = model(ids).last_hidden_state
    assert torch.equal(before, unchanged)
    assert torch.equal(before, after)
    assert not torch.allclose(before, changed)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
