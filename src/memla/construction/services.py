"""The services that a build's settings name: who drafts, who translates, at what price."""

from __future__ import annotations

from collections.abc import Callable

from memla.construction.chat import ChatModel
from memla.construction.config import BuildConfig
from memla.construction.drafting import ChatDrafter, Drafter, TemplateDrafter
from memla.construction.http import Client
from memla.construction.ledger import Ledger
from memla.construction.names import Names
from memla.construction.relations import Relations
from memla.construction.secrets import Secrets
from memla.construction.settings import DraftSettings, TranslationSettings
from memla.construction.translators import baidu, deepl, libretranslate, local
from memla.construction.translators.base import Translator
from memla.construction.translators.chat import ChatTranslator
from memla.construction.usage import Price

DRAFTS = "drafts"
"""Service name of a model that writes drafts."""
TRANSLATION = "translation"
"""Service name of a model that translates."""
OPENAI = "https://api.openai.com/v1"
_SERVICES = {
    "baidu": baidu.SERVICE,
    "chat": TRANSLATION,
    "deepl": deepl.SERVICE,
    "libretranslate": libretranslate.SERVICE,
    "local": local.SERVICE,
}
USUAL_KEYS = {
    "baidu": "BAIDU_KEY",
    "chat": "OPENAI_API_KEY",
    "deepl": "DEEPL_API_KEY",
    "libretranslate": "",
}
"""Environment variables with the keys of translation services, where the settings name none."""


def prices(config: BuildConfig) -> dict[str, Price]:
    """What each service costs, for the ledger."""
    found = {DRAFTS: config.drafts.price()} if config.drafts.drafter == "chat" else {}
    service = _SERVICES.get(config.translation.backend)
    return found if service is None else found | {service: config.translation.price()}


def intervals(config: BuildConfig) -> dict[str, float]:
    """Least seconds between two requests of each translation service, for the client."""
    service = _SERVICES.get(config.translation.backend)
    return {} if service is None else {service: config.translation.interval_seconds}


def drafter_of(
    settings: DraftSettings,
    client: Client,
    ledger: Ledger,
    secrets: Secrets,
    names: Names,
    relations: Relations,
) -> Drafter:
    """Who writes the English texts.

    Raises:
        SettingError: A key is not in the environment.
    """
    if settings.drafter == "templates":
        return TemplateDrafter(relations)
    model = ChatModel(
        client,
        ledger,
        base_url=settings.base_url or OPENAI,
        model=settings.model,
        key=secrets.read(settings.api_key_env) if settings.api_key_env else "",
        service=DRAFTS,
        temperature=settings.temperature,
        seed=settings.seed,
        max_tokens=settings.max_tokens,
    )
    return ChatDrafter(model, names, relations)


def translator_of(
    settings: TranslationSettings, client: Client, ledger: Ledger, secrets: Secrets
) -> Translator | None:
    """Who translates; None if nobody does.

    Raises:
        SettingError: A key is not in the environment.
        ModelError: A local model cannot be loaded.
    """
    if settings.backend == "none":
        return None
    if settings.backend == "local":
        return local.LocalTranslator.load(settings.model or local.MODEL, ledger)
    variable = settings.api_key_env or USUAL_KEYS[settings.backend]
    key = secrets.read(variable) if variable else ""
    makers: dict[str, Callable[[], Translator]] = {
        "baidu": lambda: baidu.BaiduTranslator(
            client,
            ledger,
            secrets.read(settings.app_id_env),
            key,
            url=settings.base_url or baidu.URL,
            characters_per_request=settings.characters_per_request,
        ),
        "chat": lambda: ChatTranslator(_chat(settings, client, ledger, key)),
        "deepl": lambda: deepl.DeeplTranslator(
            client, ledger, key, url=settings.base_url or deepl.URL
        ),
        "libretranslate": lambda: libretranslate.LibreTranslator(
            client, ledger, url=settings.base_url or libretranslate.URL, key=key
        ),
    }
    return makers[settings.backend]()


def _chat(settings: TranslationSettings, client: Client, ledger: Ledger, key: str) -> ChatModel:
    return ChatModel(
        client,
        ledger,
        base_url=settings.base_url or OPENAI,
        model=settings.model,
        key=key,
        service=TRANSLATION,
        temperature=settings.temperature,
        seed=settings.seed,
        max_tokens=settings.max_tokens,
    )
