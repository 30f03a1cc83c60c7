"""The sections of a build's settings."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from memla.construction.usage import Price
from memla.errors import SettingError
from memla.languages import MKEB_LANGUAGES, in_table_order, parse_language
from memla.records import Record, Text


def _service_address(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError(f"{value!r} is no address that starts with https:// or http://")
    if parts.username or parts.password or parts.query:
        raise ValueError("an address must hold no key; name the key's environment variable")
    return value.rstrip("/")


def _variable(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        # The value may be the key itself, so the message does not repeat it.
        raise ValueError("give the name of an environment variable, not the key itself")
    return value


Address = Annotated[str, AfterValidator(_service_address)]
"""Where a service is; the empty text means its usual place."""
Variable = Annotated[str, AfterValidator(_variable)]
"""Name of the environment variable that holds a key; empty: the service needs none."""


class Section(Record):
    """A part of the settings; TOML's ``inf`` and ``nan`` are no numbers in it."""

    model_config = ConfigDict(allow_inf_nan=False)


class DatasetSettings(Section):
    """What is to be built."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the benchmark; letters, digits, dots, dashes."""
    languages: tuple[str, ...] = Field(default=MKEB_LANGUAGES, min_length=1)
    """Languages of every record; English is always there, since drafts are written in it."""
    size: int = Field(default=1000, ge=1)
    """Most records of the release."""
    spare: float = Field(default=0.5, ge=0)
    """How many more edits are planned than the release has records, as a share of ``size``:
    some drafts and translations are rejected."""
    seed: int = Field(default=0, ge=0)
    """Decides all that is drawn: targets, neighbours, chains, splits."""
    splits: dict[str, float] = Field(
        default_factory=lambda: {"train": 0.7, "validation": 0.1, "test": 0.2}, min_length=1
    )
    """Shares of the splits; they add up to 1. The same fact is never in two of them."""

    @field_validator("languages")
    @classmethod
    def _known_languages(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return in_table_order(("en", *(parse_language(value) for value in values)))

    @field_validator("splits")
    @classmethod
    def _whole(cls, values: dict[str, float]) -> dict[str, float]:
        for name in values:
            # Files are called after them.
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
                raise SettingError(
                    f"dataset.splits has {name!r}", hint="letters, digits, underscores and dashes"
                )
        if any(share < 0 for share in values.values()) or abs(sum(values.values()) - 1) > 1e-6:
            raise SettingError(f"dataset.splits are {values}", hint="give shares that add up to 1")
        return values


class WikidataSettings(Section):
    """Where facts come from, and which."""

    contact: str = Field(min_length=3)
    """Your e-mail address or web page. It is sent with every request: the operators ask for it,
    and block those who give none."""
    endpoint: Address = "https://query.wikidata.org/sparql"
    """SPARQL 1.1 endpoint; a mirror, or QLever's, will do."""
    labels: Literal["api", "sparql"] = "api"
    """Where names are asked for: the wiki's API (sparing), or the endpoint."""
    api: Address = "https://www.wikidata.org/w/api.php"
    """The wiki's API."""
    relations: tuple[str, ...] = ()
    """Properties to use, such as ``P36``; empty means all that memla knows."""
    relations_file: str = ""
    """Your own relations, a file like memla's ``relations.toml``; empty means memla's."""
    min_sitelinks: int = Field(default=30, ge=0)
    """Least number of Wikipedias with a page on the subject: facts that models may know."""
    limit_per_relation: int = Field(default=500, ge=1)
    """Most facts of a relation, the best-known subjects first."""
    shards: int = Field(default=1, ge=1, le=256)
    """In how many parts each query is asked from the start; parts that time out are halved."""
    parallel: int = Field(default=1, ge=1, le=5)
    """Queries at a time; the operators ask for 1."""
    timeout_seconds: float = Field(default=70.0, gt=0)
    """Longest time for one answer; Wikidata stops queries after 60."""
    interval_seconds: float = Field(default=1.0, ge=0)
    """Least time between the starts of two requests."""

    @field_validator("contact")
    @classmethod
    def _can_be_reached(cls, value: str) -> str:
        if not re.fullmatch(r"[^@\s()]+@[^@\s()]+|https?://[^\s()]+", value) or not value.isascii():
            raise SettingError(
                f"wikidata.contact {value!r} is neither an e-mail address nor a web address",
                hint="give one at which the services' operators can reach you",
            )
        return value

    @field_validator("relations")
    @classmethod
    def _properties(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not re.fullmatch(r"P[1-9][0-9]*", value):
                raise SettingError(
                    f"wikidata.relations has {value!r}", hint="properties look like P36"
                )
        return tuple(dict.fromkeys(values))

    @field_validator("shards")
    @classmethod
    def _power_of_two(cls, value: int) -> int:
        if value & (value - 1):
            raise SettingError(f"wikidata.shards is {value}", hint="give 1, 2, 4, ... or 256")
        return value


class DraftSettings(Section):
    """Who writes the English texts."""

    drafter: Literal["templates", "chat"] = "templates"
    """``templates`` needs no model; ``chat`` asks any server that speaks OpenAI's protocol."""
    base_url: Address = "https://api.openai.com/v1"
    """The server's address up to ``/chat/completions``."""
    model: str = ""
    """The model's name, as the server knows it."""
    api_key_env: Variable = "OPENAI_API_KEY"
    """Environment variable with the key; empty if the server asks for none."""
    temperature: float = Field(default=0.7, ge=0, le=2)
    """Of the model's choice of words."""
    seed: int = Field(default=0, ge=0)
    """Sent with every request, for servers that heed it."""
    max_tokens: int = Field(default=1024, ge=64)
    """Most tokens of one answer."""
    timeout_seconds: float = Field(default=120.0, gt=0)
    """Longest time for one answer."""
    price_per_million_input_tokens: float | None = Field(default=None, ge=0)
    """For ``limits.cost``; 0 if it costs nothing."""
    price_per_million_output_tokens: float | None = Field(default=None, ge=0)
    """For ``limits.cost``; 0 if it costs nothing."""

    @model_validator(mode="after")
    def _has_model(self) -> Self:
        if self.drafter == "chat" and not self.model:
            raise SettingError("drafts.model is empty", hint="name the model that writes drafts")
        return self

    def price(self) -> Price:
        """What the model costs."""
        return Price(
            input_tokens=self.price_per_million_input_tokens or 0.0,
            output_tokens=self.price_per_million_output_tokens or 0.0,
        )


class TranslationSettings(Section):
    """How texts get into the other languages."""

    mode: Literal["templates", "text"] = "templates"
    """``templates``: each template is translated once and names are put in from Wikidata;
    ``text``: every text is translated by itself."""
    backend: Literal["none", "baidu", "chat", "deepl", "libretranslate", "local"] = "none"
    """Who translates; ``none`` works with relations whose templates memla has in all languages."""
    base_url: Address = ""
    """The service's address; empty means its usual one."""
    model: str = ""
    """For ``chat`` and ``local``: the model's name."""
    app_id_env: Variable = "BAIDU_APP_ID"
    """For ``baidu``: environment variable with the application's id."""
    api_key_env: Variable = ""
    """Environment variable with the key; empty means the backend's usual one."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """For ``chat``."""
    seed: int = Field(default=0, ge=0)
    """For ``chat``."""
    max_tokens: int = Field(default=2048, ge=64)
    """For ``chat``: most tokens of one answer."""
    characters_per_request: int = Field(default=1000, ge=100)
    """For ``baidu``: what the account's tier allows at once."""
    timeout_seconds: float = Field(default=60.0, gt=0)
    """Longest time for one answer."""
    interval_seconds: float = Field(default=1.0, ge=0)
    """Least time between the starts of two requests."""
    back_translation: bool = False
    """Whether texts are translated back into English and compared: twice the requests."""
    price_per_million_characters: float | None = Field(default=None, ge=0)
    """For ``limits.cost``; 0 if it costs nothing."""
    price_per_million_input_tokens: float | None = Field(default=None, ge=0)
    """For ``chat``."""
    price_per_million_output_tokens: float | None = Field(default=None, ge=0)
    """For ``chat``."""

    @model_validator(mode="after")
    def _has_model(self) -> Self:
        if self.backend == "chat" and not self.model:
            raise SettingError("translation.model is empty", hint="name the model that translates")
        if self.mode == "text" and self.backend == "none":
            raise SettingError(
                "translation.mode 'text' needs a translator",
                hint='set translation.backend, or mode = "templates"',
            )
        return self

    def price(self) -> Price:
        """What the translator costs."""
        return Price(
            characters=self.price_per_million_characters or 0.0,
            input_tokens=self.price_per_million_input_tokens or 0.0,
            output_tokens=self.price_per_million_output_tokens or 0.0,
        )


class ReleaseSettings(Section):
    """What the release says of itself."""

    title: Text = ""
    """Title of the card; empty means the dataset's name."""
    description: Text = ""
    """A paragraph for the card."""
    authors: tuple[Text, ...] = ()
    """Who made it."""
    licence: str = "CC0-1.0"
    """SPDX identifier; Wikidata is CC0-1.0, texts of models may ask for another."""
    citation: Text = ""
    """BibTeX or a sentence."""
    version: str = Field(default="1.0.0", min_length=1)
    """Version of the data."""
    snapshot: str = Field(default="")
    """Day on which the facts were asked for, or of the dump behind the endpoint: ``2026-11-21``.
    It goes on the card; memla writes no date of its own, so that two runs give the same bytes."""

    @field_validator("snapshot")
    @classmethod
    def _a_day(cls, value: str) -> str:
        try:
            known = not value or date.fromisoformat(value).isoformat() == value
        except ValueError:
            known = False
        if not known:
            raise SettingError(f"release.snapshot is {value!r}", hint="a day, such as 2026-11-21")
        return value
