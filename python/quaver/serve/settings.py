"""What can be set: by flags, by environment and in a YAML file, all from this one schema."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic_settings import (
    BaseSettings,
    CliPositionalArg,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

Policy = Annotated[str, Field(pattern=r"^(all|latest(:[1-9]\d*)?|\d+(,\d+)*)$")]


class ModelSettings(BaseModel):
    """What can be set for each model; a file's `models` says so by name."""

    model_config = ConfigDict(extra="forbid")

    versions: Policy = Field(
        default="latest",
        description="which versions to serve: latest, latest:N, all, or numbers as 1,3",
    )
    labels: dict[str, PositiveInt] = Field(
        default={},
        description="names for versions, such as stable: 3, canary: 4; ask for them as versions",
    )
    max_batch: PositiveInt = Field(
        default=16, description="rows that requests may be gathered to; 1 gathers nothing"
    )
    max_delay_us: NonNegativeInt = Field(
        default=0, description="how long a busy model may let a request wait for company"
    )
    queue: PositiveInt = Field(
        default=1000, description="requests that may wait; more are refused (429)"
    )
    weight: PositiveFloat = Field(
        default=1.0, description="share of the workers where models compete for them"
    )
    threads: PositiveInt = Field(default=1, description="threads that a run is spread over")
    float_precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="what float convolutions and products multiply in: fp32 or bf16"
    )
    fallback: Literal["auto", "none"] = Field(
        default="auto",
        description="what runs nodes of ONNX models that Quaver lacks: auto (onnxruntime, where "
        "that is installed) or none",
    )


class Settings(BaseSettings):
    """Settings of `quaver serve`."""

    model_config = SettingsConfigDict(
        env_prefix="QUAVER_SERVE_", env_nested_delimiter="__", extra="forbid", cli_kebab_case=True
    )

    root: CliPositionalArg[Path] = Field(
        description="folder of models: NAME/VERSION/model.quaver, model.onnx or update.qdelta"
    )
    config: Path | None = Field(default=None, description="a YAML file of these settings")
    host: str = Field(default="0.0.0.0", description="address to listen on")
    http: NonNegativeInt = Field(
        default=8000, le=65535, description="port of REST; 0 for any free one"
    )
    grpc: NonNegativeInt = Field(
        default=8001, le=65535, description="port of gRPC; 0 for any free one"
    )
    rest: bool = Field(default=True, description="whether to serve REST")
    rpc: bool = Field(default=True, description="whether to serve gRPC")
    workers: PositiveInt | None = Field(
        default=None, description="runs at a time; default: as many as there are cores"
    )
    defaults: ModelSettings = Field(
        default=ModelSettings(), description="settings of all models, unless `models` names others"
    )
    models: dict[str, ModelSettings] = Field(default={}, description="settings of models, by name")
    watch: bool = Field(default=True, description="load what appears in the folder")
    settle: PositiveFloat = Field(
        default=0.5, description="seconds that a file must lie unchanged before it is loaded"
    )
    max_body: PositiveInt = Field(
        default=64 << 20,
        description="bytes of the body of a request to run a model, and of a tensor in shared "
        "memory; others' bodies may have 1 MiB",
    )
    max_buffered: PositiveInt = Field(
        default=1 << 30, description="bytes of all requests' bodies together"
    )
    max_requests: PositiveInt = Field(
        default=4096, description="requests at a time; more are refused (429)"
    )
    max_connections: PositiveInt = Field(
        default=16384, description="connections at a time, of REST and again of gRPC"
    )
    header_time: PositiveFloat = Field(
        default=10.0, description="seconds for a request's headers to come"
    )
    body_time: PositiveFloat = Field(
        default=60.0,
        description="seconds for a request's body to come, and for a client to read on",
    )
    keep_alive: PositiveInt = Field(
        default=75, description="seconds that an idle connection stays open"
    )
    drain: PositiveFloat = Field(
        default=30.0, description="seconds for what is under way when told to stop"
    )
    linger: float = Field(
        default=1.0, ge=0, description="seconds to go on refusing requests (503) when told to stop"
    )
    token_file: Path | None = Field(
        default=None, description="file of tokens, one a line; a request must bear one of them"
    )
    tls_cert: Path | None = Field(default=None, description="certificate chain, PEM")
    tls_key: Path | None = Field(default=None, description="its key, PEM")
    shared_memory: bool = Field(
        default=True, description="let clients register system shared memory"
    )
    control: bool = Field(default=True, description="let clients load, unload and roll back models")
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = Field(
        default="info", description="debug (every request), info, warning or error"
    )

    _yaml: ClassVar[Path | None] = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- not read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- not read
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags before environment before file."""
        first = (init_settings, env_settings)
        if cls._yaml is None:
            return first
        return (*first, YamlConfigSettingsSource(settings_cls, cls._yaml))

    def of_model(self, name: str) -> ModelSettings:
        """The settings of a model; those that it does not name are the defaults."""
        own = self.models.get(name)
        if own is None:
            return self.defaults
        given = {field: getattr(own, field) for field in own.model_fields_set}
        return self.defaults.model_copy(update=given)


def parse(arguments: list[str]) -> Settings:
    """Settings from a command line, the environment and the file that either names."""
    path = _config_path(arguments)

    class _Command(Settings):
        _yaml = path

    how: dict[str, Any] = {
        "_cli_parse_args": arguments,
        "_cli_prog_name": "quaver serve",
        "_cli_implicit_flags": True,
        "_cli_hide_none_type": True,
        "_cli_avoid_json": True,
    }
    return _Command(**how)


def _config_path(arguments: list[str]) -> Path | None:
    """The file must be known before the rest is read."""
    for at, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag == "--config":
            if equals:
                return Path(value)
            if at + 1 < len(arguments):
                return Path(arguments[at + 1])
    value = os.environ.get("QUAVER_SERVE_CONFIG", "")
    return Path(value) if value else None
