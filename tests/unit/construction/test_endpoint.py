from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memla.construction import queries
from memla.construction.endpoint import Batch, Endpoint, batches
from memla.construction.http import Client
from memla.construction.ledger import Ledger
from memla.construction.queries import Shard, shards
from memla.construction.relations import shipped_relations
from memla.construction.usage import Limits
from memla.errors import IncompleteAnswerError, LimitError, ServiceError
from tests.doubles.loopback import Answered
from tests.doubles.sparql import Wikidata, timed_out, truncated, world
from tests.doubles.transports import transport
from tests.doubles.world import CITY

COUNTRY = shipped_relations()["P17"]


def endpoint_of(respond, clock, folder, *, parallel=1, limits=None):
    client = Client("me@example.org", clock=clock, transport=transport(respond), attempts=3)
    ledger = Ledger(folder, limits=limits)
    return Endpoint(client, ledger, "https://wikidata.example/sparql", parallel=parallel)


def cities_in(endpoint, count=1):
    def query(shard):
        return queries.triples_of_class(COUNTRY, CITY, 150, shard)

    found = endpoint.rows(shards(count), query, ("s", "o", "links"))
    return [row for rows in found for row in rows]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Cities that are known well, in one query."""
    return sorted(cities_in(endpoint_of(Wikidata(), None, tmp_path_factory.mktemp("ledger"))))


def test_rows_are_identifiers_and_numbers(whole):
    popular = {
        each.subject: each.object
        for each in world().statements
        if each.relation == "P17" and world().things[each.subject].kind == CITY
        if world().things[each.subject].sitelinks >= 150
    }
    assert {(subject, thing) for subject, thing, _ in whole} == set(popular.items())
    assert all(int(links) >= 150 for _, _, links in whole)


@pytest.mark.parametrize("parallel", [1, 3])
def test_shards_make_up_the_whole_in_the_same_order_every_time(parallel, whole, clock, tmp_path):
    found = cities_in(endpoint_of(Wikidata(), clock, tmp_path / "a", parallel=parallel), 4)
    assert found == cities_in(endpoint_of(Wikidata(), clock, tmp_path / "b"), 4)
    assert sorted(found) == whole


@pytest.mark.parametrize("late", [timed_out, truncated])
@pytest.mark.parametrize("parallel", [1, 2])
def test_a_query_that_takes_too_long_is_halved_and_never_sent_again(
    late, parallel, whole, clock, tmp_path
):
    wikidata = Wikidata()
    wikidata.most_rows, wikidata.late = 60, late
    assert sorted(cities_in(endpoint_of(wikidata, clock, tmp_path, parallel=parallel))) == whole
    assert len(wikidata.queries) == len(set(wikidata.queries)) > 3
    assert clock.slept == []


def test_what_was_answered_before_a_restart_is_not_asked_again(whole, clock, tmp_path):
    first, second = Wikidata(), Wikidata()
    first.most_rows = second.most_rows = 60
    cities_in(endpoint_of(first, clock, tmp_path), 2)
    assert sorted(cities_in(endpoint_of(second, clock, tmp_path), 2)) == whole
    # Only what timed out is.
    assert len(second.queries) < len(first.queries) / 2 + 1


HOSTILE = {
    "429 with Retry-After": (Answered("", 429, {"Retry-After": "9"}), [9.0]),
    "429 without": (Answered("", 429), [60.0]),
    "502": (Answered("<html>网关错误</html>", 502), 1),
    "503": (Answered("", 503), 1),
    "500 of another kind": (Answered("внутренняя ошибка", 500), 1),
}


@pytest.mark.parametrize("mode", HOSTILE)
def test_a_busy_endpoint_is_waited_for(mode, whole, clock, tmp_path):
    answer, pauses = HOSTILE[mode]
    wikidata = Wikidata()
    wikidata.before = [answer]
    assert sorted(cities_in(endpoint_of(wikidata, clock, tmp_path))) == whole
    assert len(clock.slept) == 1 if pauses == 1 else clock.slept == pauses


REFUSING = {
    "403": (Answered("Please set a user-agent", 403), ServiceError, "blocked"),
    "400": (Answered("MalformedQueryException", 400), ServiceError, "SPARQL 1.1"),
    "429 for ever": (Answered("", 429, {"Retry-After": "1"}), ServiceError, "busy"),
    "503 for ever": (Answered("维护中", 503), ServiceError, "kept"),
    "wrong JSON": (Answered('{"ผลลัพธ์": []}'), ServiceError, "wikidata.endpoint"),
    "bindings of another kind": (
        Answered('{"results": {"bindings": [{"s": "Q1"}]}}'), ServiceError, "wikidata.endpoint"
    ),
    "a page instead of an answer": (
        Answered("<html>ログイン</html>"), IncompleteAnswerError, "wikidata.shards"
    ),
}  # fmt: skip


@pytest.mark.parametrize("mode", REFUSING)
def test_an_endpoint_that_refuses_ends_the_build_with_a_way_out(mode, clock, tmp_path):
    answer, kind, hint = REFUSING[mode]
    asked = []

    def respond(request):
        asked.append(request)
        return answer

    with pytest.raises(kind, match="wikidata") as caught:
        cities_in(endpoint_of(respond, clock, tmp_path))
    assert hint in caught.value.hint
    assert len(asked) <= 20
    assert list(tmp_path.glob("*/*.json")) == []


def test_the_smallest_part_that_takes_too_long_ends_the_build(clock, tmp_path):
    endpoint = endpoint_of(lambda asked: timed_out(""), clock, tmp_path)
    with pytest.raises(IncompleteAnswerError, match="too long"):
        list(endpoint.rows([Batch(("Q1",))], lambda batch: " ".join(batch), ("s",)))


def test_queries_beyond_the_limit_are_not_sent(clock, tmp_path):
    wikidata = Wikidata()
    with pytest.raises(LimitError, match=r"limits\.requests"):
        cities_in(endpoint_of(wikidata, clock, tmp_path, limits=Limits(requests=2)), 4)
    assert len(wikidata.queries) == 2


@pytest.mark.parametrize(
    "term",
    [
        {"type": "bnode", "value": "t123"},
        {"type": "uri", "value": "http://www.wikidata.org/.well-known/genid/abc"},
        None,
    ],
)
def test_rows_with_an_unknown_value_or_without_one_are_left_out(term, clock, tmp_path):
    import json

    known = {"type": "uri", "value": "http://www.wikidata.org/entity/Q869"}
    row = {"s": known} if term is None else {"s": known, "o": term}
    body = json.dumps({"results": {"bindings": [row, {"s": known, "o": known}]}})
    endpoint = endpoint_of(lambda asked: Answered(body), clock, tmp_path)
    assert endpoint.select("SELECT", ("s", "o")) == [("Q869", "Q869")]


@given(st.sampled_from([1, 2, 8, 256]), st.text("กขあ中д", min_size=1))
def test_every_subject_is_in_one_shard_and_in_one_half_of_it(count, name):
    digest = int(hashlib.md5(name.encode()).hexdigest()[:4], 16)
    (shard,) = [each for each in shards(count) if each.first <= digest <= each.last]
    while shard.halves():
        (shard,) = [each for each in shard.halves() if each.first <= digest <= each.last]
    assert shard == Shard(digest, digest)


def test_batches_keep_order_and_halve_down_to_one():
    (first, second) = batches(["Q1", "Q2", "Q3"], 2)
    assert (first, second) == (("Q1", "Q2"), ("Q3",))
    assert first.halves() == (("Q1",), ("Q2",))
    assert second.halves() == ()


@pytest.mark.parametrize("word", ["SERVICE", "hint:", "bd:", "LIMIT", "OFFSET"])
def test_queries_hold_nothing_that_only_one_engine_knows(word):
    relations = shipped_relations()
    made = [
        queries.triples_of_class(relations["P36"], "Q515", 30, Shard(0, 9)),
        queries.triples_of_class(relations["P6"], "Q515", 30, Shard()),
        queries.triples_of_subjects(relations["P6"], ["Q1"]),
        queries.statements(relations["P36"], ["Q1"]),
        queries.values(["Q1"], queries.PART_OF),
        queries.names(["Q1"], ("zh-hans", "th"), aliases=True),
    ]
    assert not any(word in query for query in made)
