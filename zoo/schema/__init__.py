"""The one place that says what a recipe key means.

The string under a field is its comment, its text in the JSON Schema and its help. Options of TRL, peft and mergekit are
not declared again: they stand verbatim under `trl:`, `lora:` and `mergekit:` and are checked against the libraries'
own classes (`zoo.options`).
"""

from zoo.schema.agent import AgentSpec
from zoo.schema.data import DataSpec, FilterSpec, ReasonSpec, Share, TinyRowsSpec, TinySpec
from zoo.schema.distillation import DistillSpec, DistillWeights, LogitsSpec, RolloutSpec
from zoo.schema.endpoint import EndpointSpec, PolicyEndpointSpec
from zoo.schema.exporting import GGUFSpec, ImportanceSpec, ONNXSpec
from zoo.schema.measuring import EvaluateSpec, Gate, LatencySpec, VerifySpec
from zoo.schema.merging import ChooseSpec, MergeSpec, SweepScore, SweepSpec
from zoo.schema.probing import DocumentationSpec, ProbeSpec
from zoo.schema.publishing import PublishSpec
from zoo.schema.recipe import Hardware, Recipe, TinyTwin
from zoo.schema.reference import Accepts, FilesRef, LogitsRef, ModelRef, RowsRef, ScoresRef
from zoo.schema.references import references
from zoo.schema.reinforcement import (
    DenoiseSpec,
    DynamicSamplingSpec,
    EnvironmentSpec,
    GuardSpec,
    RewardSpec,
    WorldModelSpec,
)
from zoo.schema.settings import Settings, StageSpec
from zoo.schema.training import GRPOSpec, OptimizerSpec, SFTSpec, TrainingSpec

__all__ = [
    "Accepts",
    "AgentSpec",
    "ChooseSpec",
    "DataSpec",
    "DenoiseSpec",
    "DistillSpec",
    "DistillWeights",
    "DocumentationSpec",
    "DynamicSamplingSpec",
    "EndpointSpec",
    "EnvironmentSpec",
    "EvaluateSpec",
    "FilesRef",
    "FilterSpec",
    "GGUFSpec",
    "GRPOSpec",
    "Gate",
    "GuardSpec",
    "Hardware",
    "ImportanceSpec",
    "LatencySpec",
    "LogitsRef",
    "LogitsSpec",
    "MergeSpec",
    "ModelRef",
    "ONNXSpec",
    "OptimizerSpec",
    "PolicyEndpointSpec",
    "ProbeSpec",
    "PublishSpec",
    "ReasonSpec",
    "Recipe",
    "RewardSpec",
    "RolloutSpec",
    "RowsRef",
    "SFTSpec",
    "ScoresRef",
    "Settings",
    "Share",
    "StageSpec",
    "SweepScore",
    "SweepSpec",
    "TinyRowsSpec",
    "TinySpec",
    "TinyTwin",
    "TrainingSpec",
    "VerifySpec",
    "WorldModelSpec",
    "references",
]
