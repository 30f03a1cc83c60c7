"""Facts from options and files: what is to be edited, and what else is known."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memla.errors import DataError, SettingError, SubjectNotFoundError
from memla.facts import PLACEHOLDER, EditRequest
from memla.records import parse_record, read_json_lines, read_text

if TYPE_CHECKING:
    from memla.evaluation.references import References

NO_REFERENCES = "none"


def requests_from_options(
    *,
    prompt: str | None,
    subject: str | None,
    target_new: str | None,
    target_true: str | None,
    language: str,
    file: Path | None,
) -> tuple[EditRequest, ...]:
    """The requests of a fact, from a file or from the options; none if neither is given.

    Raises:
        SettingError: Both are given, or the options lack one.
        DataError: The file or the fact cannot be used.
    """
    names = ("--prompt", "--subject", "--target-new", "--target-true")
    options = dict(zip(names, (prompt, subject, target_new, target_true), strict=True))
    given = [name for name, value in options.items() if value is not None]
    if file is not None:
        if given:
            raise SettingError(f"--file and {given[0]} exclude each other", hint="use one of them")
        return read_requests(file)
    if not given:
        return ()
    missing = [name for name in ("--prompt", "--subject") if options[name] is None]
    if missing:
        raise SettingError(
            f"{missing[0]} is missing beside {given[0]}",
            hint="a fact needs --prompt and --subject",
        )
    value = {
        "fact": subject,
        "language": language,
        "prompt": _with_placeholder(prompt or "", subject or ""),
        "subject": subject,
        "target_new": target_new,
        "target_true": target_true,
    }
    return (parse_record(EditRequest, value, "the fact"),)


def named_requests(
    requests: Sequence[EditRequest], names: Sequence[str] | None
) -> tuple[EditRequest, ...]:
    """The requests, and the names of their subject in other languages, as ``zh=伦敦``.

    A name is a request whose prompt is the name alone, without any answer.

    Raises:
        SettingError: A name has no language, or the requests are about several facts.
        DataError: A language is unknown.
    """
    if not names:
        return tuple(requests)
    facts = sorted({request.fact for request in requests})
    if len(facts) > 1:
        raise SettingError(
            f"--name {names[0]!r} could be of {len(facts)} facts",
            hint="put the names into the file, as requests with the prompt {}",
        )
    found = list(requests)
    for pair in names:
        language, equals, name = pair.partition("=")
        if not equals or not name.strip():
            raise SettingError(f"--name {pair!r} is not LANGUAGE=NAME", hint="--name zh=伦敦")
        value = {"fact": facts[0], "language": language, "prompt": "{}", "subject": name.strip()}
        found.append(parse_record(EditRequest, value, f"--name {pair!r}"))
    return tuple(found)


def _with_placeholder(prompt: str, subject: str) -> str:
    """The prompt with ``{}`` at its subject, also where the subject was written out."""
    if PLACEHOLDER in prompt or not subject:
        return prompt
    times = prompt.count(subject)
    if times == 1:
        return prompt.replace(subject, PLACEHOLDER)
    what = "is not in" if times == 0 else f"is {times} times in"
    raise SubjectNotFoundError(
        f"subject {subject!r} {what} prompt {prompt!r}", hint="put {} where the subject goes"
    )


def read_requests(path: Path) -> tuple[EditRequest, ...]:
    """Requests of a JSON, JSON Lines or TOML file.

    The file is one request, a list of them, or an object with the list as ``requests``; what
    stands beside the list holds for each of them. ``fact`` may be left out.

    Raises:
        DataError: The file cannot be read or does not hold requests.
    """
    found = _request_objects(path, _parse(path))
    if not found:
        raise DataError(f"{path} has no requests", hint="give it a list named requests")
    return tuple(
        parse_record(EditRequest, {"fact": path.stem} | value, f"{path}, request {number}")
        for number, value in enumerate(found, start=1)
    )


def _request_objects(path: Path, value: object) -> list[dict[str, Any]]:
    common: dict[str, Any] = {}
    if isinstance(value, dict):
        common = {key: entry for key, entry in value.items() if key != "requests"}
        value = value.get("requests", [{}])
    if not common and value == [{}]:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise DataError(
            f"{path}: requests is not a list of objects", hint="see `memla edit --help`"
        )
    return [common | entry for entry in value]


def _parse(path: Path) -> object:
    if path.suffix == ".jsonl":
        return [value for _, value in read_json_lines(path)]
    text = read_text(path)
    try:
        return tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path}: not TOML: {error}") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: not JSON: {error.msg} in line {error.lineno}") from None


def read_references(name: str) -> References:
    """Other facts: of a benchmark's split ``train``, or of a file.

    Args:
        name: A benchmark, a file of requests or in MKEB's format, or ``none``.

    Raises:
        MemlaError: There is no such benchmark or file, or it cannot be used.
    """
    from memla.benchmarks import BENCHMARKS, load_benchmark
    from memla.evaluation.references import References

    if name == NO_REFERENCES:
        return References(())
    path = Path(name)
    if name in BENCHMARKS or not path.is_file() or _is_benchmark(path):
        benchmark = load_benchmark(name)
        split = "train" if "train" in benchmark.card.sizes else None
        return References.from_cases(benchmark.cases(split=split))
    return References.from_requests(read_requests(path))


def _is_benchmark(path: Path) -> bool:
    return path.suffix != ".toml" and '"example_id"' in read_text(path)


def sources_of(requests: Sequence[EditRequest]) -> tuple[EditRequest, ...]:
    """The requests with a new answer.

    Raises:
        SettingError: None has one.
    """
    found = tuple(request for request in requests if request.target_new is not None)
    if not found:
        raise SettingError(f"fact {requests[0].fact!r} has no new answer", hint="give --target-new")
    return found
