"""Edit a fact in one language of a multilingual model and see it change in all of them.

Nothing heavy is imported before it is used: ``import memla`` loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memla.attribution.config import AttributionConfig
    from memla.attribution.knowledge_neurons import KnowledgeNeurons, locate_neurons
    from memla.attribution.neuron_sets import NeuronSet
    from memla.benchmarks import BENCHMARKS, Benchmark, load_benchmark
    from memla.editors import EDITORS
    from memla.editors.base import Editor
    from memla.editors.edits import Edit
    from memla.editors.memla.config import MemlaConfig
    from memla.editors.memla.editor import MemlaEditor
    from memla.editors.peft_adapter import export_peft, import_peft
    from memla.editors.storage import load_edit
    from memla.errors import MemlaError
    from memla.evaluation.results import Plan
    from memla.evaluation.runner import evaluate
    from memla.facts import EditCase, EditRequest, Probe
    from memla.models.language_model import LanguageModel
    from memla.models.loading import load_model
    from memla.models.tiny import tiny_model

__version__ = "0.1.0"

_HOMES = {
    "AttributionConfig": "memla.attribution.config",
    "BENCHMARKS": "memla.benchmarks",
    "Benchmark": "memla.benchmarks",
    "EDITORS": "memla.editors",
    "Edit": "memla.editors.edits",
    "EditCase": "memla.facts",
    "EditRequest": "memla.facts",
    "Editor": "memla.editors.base",
    "KnowledgeNeurons": "memla.attribution.knowledge_neurons",
    "LanguageModel": "memla.models.language_model",
    "MemlaConfig": "memla.editors.memla.config",
    "MemlaEditor": "memla.editors.memla.editor",
    "MemlaError": "memla.errors",
    "NeuronSet": "memla.attribution.neuron_sets",
    "Plan": "memla.evaluation.results",
    "Probe": "memla.facts",
    "evaluate": "memla.evaluation.runner",
    "export_peft": "memla.editors.peft_adapter",
    "import_peft": "memla.editors.peft_adapter",
    "load_benchmark": "memla.benchmarks",
    "load_edit": "memla.editors.storage",
    "load_model": "memla.models.loading",
    "locate_neurons": "memla.attribution.knowledge_neurons",
    "tiny_model": "memla.models.tiny",
}

__all__ = [
    "BENCHMARKS",
    "EDITORS",
    "AttributionConfig",
    "Benchmark",
    "Edit",
    "EditCase",
    "EditRequest",
    "Editor",
    "KnowledgeNeurons",
    "LanguageModel",
    "MemlaConfig",
    "MemlaEditor",
    "MemlaError",
    "NeuronSet",
    "Plan",
    "Probe",
    "evaluate",
    "export_peft",
    "import_peft",
    "load_benchmark",
    "load_edit",
    "load_model",
    "locate_neurons",
    "tiny_model",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'memla' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
