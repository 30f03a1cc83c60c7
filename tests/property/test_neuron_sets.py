from __future__ import annotations

import json

import torch
from hypothesis import given
from hypothesis import strategies as st

from memla.attribution.neuron_sets import NeuronSet, select, split

LAYERS, WIDTH = 4, 6
NEURONS = st.tuples(st.integers(0, LAYERS - 1), st.integers(0, WIDTH - 1))
PAIRS = st.frozensets(NEURONS, max_size=LAYERS * WIDTH)
# Sets are made in the tests, not by strategies: run-time type checks draw from ``random``.
BY_LANGUAGE = st.dictionaries(st.sampled_from(["zh", "ja", "th", "ru", "en"]), PAIRS, min_size=1)


def sets_of(pairs):
    return {language: NeuronSet(neurons) for language, neurons in pairs.items()}


TABLES = st.lists(
    st.floats(-10, 10, width=32), min_size=LAYERS * WIDTH, max_size=LAYERS * WIDTH
).map(lambda numbers: torch.tensor(numbers).reshape(LAYERS, WIDTH))
SHARES = st.floats(0.01, 1.0)


@given(PAIRS, PAIRS)
def test_operators_are_those_of_sets(left, right):
    a, b = NeuronSet(left), NeuronSet(right)
    assert set(a & b) == left & right
    assert set(a | b) == left | right
    assert set(a - b) == left - right
    assert set(a ^ b) == left ^ right
    assert (a <= b) == (left <= right)
    assert (a == b) == (left == right)
    assert all(isinstance(result, NeuronSet) for result in (a & b, a | b, a - b, a ^ b))


@given(PAIRS, PAIRS, PAIRS)
def test_the_laws_of_sets_hold(one, other, third):
    a, b, c = NeuronSet(one), NeuronSet(other), NeuronSet(third)
    assert a & (b | c) == (a & b) | (a & c)
    assert a - (b | c) == (a - b) & (a - c)
    assert (a - b) | (a & b) == a
    assert hash(a | b) == hash(b | a)


@given(PAIRS)
def test_a_set_survives_json_and_masks(pairs):
    neurons = NeuronSet(pairs)
    assert NeuronSet.from_json(json.loads(json.dumps(neurons.to_json()))) == neurons
    assert NeuronSet.from_mask(neurons.to_mask(LAYERS, WIDTH)) == neurons
    assert sum(neurons.by_layer(LAYERS)) == len(neurons)
    assert list(neurons) == sorted(neurons)


@given(BY_LANGUAGE, SHARES, SHARES)
def test_a_higher_quorum_shares_no_more(pairs, one, other):
    sets = sets_of(pairs)
    low, high = sorted([one, other])
    assert split(sets, high) <= split(sets, low)
    union = NeuronSet(neuron for neurons in sets.values() for neuron in neurons)
    assert split(sets, low) <= union


@given(BY_LANGUAGE)
def test_the_full_quorum_is_the_intersection(pairs):
    sets = sets_of(pairs)
    shared = split(sets, 1.0)
    common = set.intersection(*[set(neurons) for neurons in sets.values()])
    assert set(shared) == (common if len(sets) > 1 else set())


@given(BY_LANGUAGE, SHARES, st.randoms())
def test_the_order_of_languages_does_not_matter(pairs, quorum, random):
    sets = sets_of(pairs)
    items = list(sets.items())
    random.shuffle(items)
    assert split(dict(items), quorum) == split(sets, quorum)


@given(TABLES, SHARES, SHARES, st.sampled_from(["global", "layer"]))
def test_a_higher_threshold_selects_no_more(scores, one, other, scope):
    low, high = sorted([one, other])
    assert select(scores, high, scope) <= select(scores, low, scope)


@given(TABLES, SHARES, st.sampled_from(["threshold", "top_p_mass", "percentile"]))
def test_only_positive_scores_of_the_given_layers_are_selected(scores, threshold, method):
    found = select(scores, threshold, method=method, layers=(1, 3))
    assert all(scores[layer, neuron] > 0 and layer in {1, 3} for layer, neuron in found)


@given(TABLES, SHARES, st.sampled_from([2.0**-20, 0.5, 4.0]))
def test_the_unit_of_the_scores_changes_no_selection(scores, threshold, unit):
    assert select(scores.double() * unit, threshold) == select(scores.double(), threshold)


@given(TABLES, st.integers(1, LAYERS * WIDTH))
def test_top_k_takes_the_k_largest_positive_scores(scores, count):
    found = select(scores, count, method="top_k")
    assert len(found) == min(count, int((scores > 0).sum()))
    if found:
        least = min(float(scores[neuron]) for neuron in found)
        rest = scores[~found.to_mask(LAYERS, WIDTH)]
        assert not len(rest) or float(rest.max()) <= max(least, 0)
