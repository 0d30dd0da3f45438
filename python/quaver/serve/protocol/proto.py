"""The protocol's messages, as protobuf classes in a pool of their own.

The table is the public specification's, in the notation of its .proto files. It becomes
descriptors when it is first needed, so that no generated code is kept; and in a pool that is not
the global one, so that a client's copy of the same messages may live in the same process.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "inference"

_PARAMETER = """
    oneof parameter_choice {
      bool bool_param = 1; int64 int64_param = 2; string string_param = 3;
      double double_param = 4; uint64 uint64_param = 5;
    }"""

_MESSAGES = (
    """
message ServerLiveRequest {}
message ServerLiveResponse { bool live = 1; }
message ServerReadyRequest {}
message ServerReadyResponse { bool ready = 1; }
message ModelReadyRequest { string name = 1; string version = 2; }
message ModelReadyResponse { bool ready = 1; }
message ServerMetadataRequest {}
message ServerMetadataResponse {
  string name = 1; string version = 2; repeated string extensions = 3;
}
message ModelMetadataRequest { string name = 1; string version = 2; }
message ModelMetadataResponse {
  message TensorMetadata { string name = 1; string datatype = 2; repeated int64 shape = 3; }
  string name = 1; repeated string versions = 2; string platform = 3;
  repeated TensorMetadata inputs = 4; repeated TensorMetadata outputs = 5;
}
message InferParameter {"""
    + _PARAMETER
    + """ }
message InferTensorContents {
  repeated bool bool_contents = 1; repeated int32 int_contents = 2;
  repeated int64 int64_contents = 3; repeated uint32 uint_contents = 4;
  repeated uint64 uint64_contents = 5; repeated float fp32_contents = 6;
  repeated double fp64_contents = 7; repeated bytes bytes_contents = 8;
}
message ModelInferRequest {
  message InferInputTensor {
    string name = 1; string datatype = 2; repeated int64 shape = 3;
    map<string, InferParameter> parameters = 4; InferTensorContents contents = 5;
  }
  message InferRequestedOutputTensor {
    string name = 1; map<string, InferParameter> parameters = 2;
  }
  string model_name = 1; string model_version = 2; string id = 3;
  map<string, InferParameter> parameters = 4; repeated InferInputTensor inputs = 5;
  repeated InferRequestedOutputTensor outputs = 6; repeated bytes raw_input_contents = 7;
}
message ModelInferResponse {
  message InferOutputTensor {
    string name = 1; string datatype = 2; repeated int64 shape = 3;
    map<string, InferParameter> parameters = 4; InferTensorContents contents = 5;
  }
  string model_name = 1; string model_version = 2; string id = 3;
  map<string, InferParameter> parameters = 4; repeated InferOutputTensor outputs = 5;
  repeated bytes raw_output_contents = 6;
}
message ModelStreamInferResponse {
  string error_message = 1; ModelInferResponse infer_response = 2;
}
enum DataType {
  TYPE_INVALID = 0; TYPE_BOOL = 1; TYPE_UINT8 = 2; TYPE_UINT16 = 3; TYPE_UINT32 = 4;
  TYPE_UINT64 = 5; TYPE_INT8 = 6; TYPE_INT16 = 7; TYPE_INT32 = 8; TYPE_INT64 = 9; TYPE_FP16 = 10;
  TYPE_FP32 = 11; TYPE_FP64 = 12; TYPE_STRING = 13; TYPE_BF16 = 14;
}
message ModelInput { string name = 1; DataType data_type = 2; repeated int64 dims = 4; }
message ModelOutput {
  string name = 1; DataType data_type = 2; repeated int64 dims = 3; string label_filename = 4;
}
message ModelVersionPolicy {
  message Latest { uint32 num_versions = 1; }
  message All {}
  message Specific { repeated int64 versions = 1; }
  oneof policy_choice { Latest latest = 1; All all = 2; Specific specific = 3; }
}
message ModelDynamicBatching {
  repeated int32 preferred_batch_size = 1; uint64 max_queue_delay_microseconds = 2;
}
message ModelInstanceGroup {
  enum Kind { KIND_AUTO = 0; KIND_GPU = 1; KIND_CPU = 2; KIND_MODEL = 3; }
  string name = 1; Kind kind = 4; int32 count = 2;
}
message ModelParameter { string string_value = 1; }
message ModelConfig {
  string name = 1; string platform = 2; string backend = 17; ModelVersionPolicy version_policy = 3;
  int32 max_batch_size = 4; repeated ModelInput input = 5; repeated ModelOutput output = 6;
  repeated ModelInstanceGroup instance_group = 7; string default_model_filename = 8;
  ModelDynamicBatching dynamic_batching = 11; map<string, ModelParameter> parameters = 14;
}
message ModelConfigRequest { string name = 1; string version = 2; }
message ModelConfigResponse { ModelConfig config = 1; }
message ModelStatisticsRequest { string name = 1; string version = 2; }
message StatisticDuration { uint64 count = 1; uint64 ns = 2; }
message InferStatistics {
  StatisticDuration success = 1; StatisticDuration fail = 2; StatisticDuration queue = 3;
  StatisticDuration compute_input = 4; StatisticDuration compute_infer = 5;
  StatisticDuration compute_output = 6; StatisticDuration cache_hit = 7;
  StatisticDuration cache_miss = 8;
}
message InferBatchStatistics {
  uint64 batch_size = 1; StatisticDuration compute_input = 2; StatisticDuration compute_infer = 3;
  StatisticDuration compute_output = 4;
}
message MemoryUsage { string type = 1; int64 id = 2; uint64 byte_size = 3; }
message ModelStatistics {
  string name = 1; string version = 2; uint64 last_inference = 3; uint64 inference_count = 4;
  uint64 execution_count = 5; InferStatistics inference_stats = 6;
  repeated InferBatchStatistics batch_stats = 7; repeated MemoryUsage memory_usage = 8;
}
message ModelStatisticsResponse { repeated ModelStatistics model_stats = 1; }
message ModelRepositoryParameter {
  oneof parameter_choice {
    bool bool_param = 1; int64 int64_param = 2; string string_param = 3; bytes bytes_param = 4;
  }
}
message RepositoryIndexRequest { string repository_name = 1; bool ready = 2; }
message RepositoryIndexResponse {
  message ModelIndex { string name = 1; string version = 2; string state = 3; string reason = 4; }
  repeated ModelIndex models = 1;
}
message RepositoryModelLoadRequest {
  string repository_name = 1; string model_name = 2;
  map<string, ModelRepositoryParameter> parameters = 3;
}
message RepositoryModelLoadResponse {}
message RepositoryModelUnloadRequest {
  string repository_name = 1; string model_name = 2;
  map<string, ModelRepositoryParameter> parameters = 3;
}
message RepositoryModelUnloadResponse {}
message SystemSharedMemoryStatusRequest { string name = 1; }
message SystemSharedMemoryStatusResponse {
  message RegionStatus { string name = 1; string key = 2; uint64 offset = 3; uint64 byte_size = 4; }
  map<string, RegionStatus> regions = 1;
}
message SystemSharedMemoryRegisterRequest {
  string name = 1; string key = 2; uint64 offset = 3; uint64 byte_size = 4;
}
message SystemSharedMemoryRegisterResponse {}
message SystemSharedMemoryUnregisterRequest { string name = 1; }
message SystemSharedMemoryUnregisterResponse {}
message CudaSharedMemoryStatusRequest { string name = 1; }
message CudaSharedMemoryStatusResponse {
  message RegionStatus { string name = 1; uint64 device_id = 2; uint64 byte_size = 3; }
  map<string, RegionStatus> regions = 1;
}
message CudaSharedMemoryRegisterRequest {
  string name = 1; bytes raw_handle = 2; int64 device_id = 3; uint64 byte_size = 4;
}
message CudaSharedMemoryRegisterResponse {}
message CudaSharedMemoryUnregisterRequest { string name = 1; }
message CudaSharedMemoryUnregisterResponse {}
message TraceSettingRequest {
  message SettingValue { repeated string value = 1; }
  map<string, SettingValue> settings = 1; string model_name = 2;
}
message TraceSettingResponse {
  message SettingValue { repeated string value = 1; }
  map<string, SettingValue> settings = 1;
}
message LogSettingsRequest {
  message SettingValue {
    oneof parameter_choice {
      bool bool_param = 1; uint32 uint32_param = 2; string string_param = 3;
    }
  }
  map<string, SettingValue> settings = 1;
}
message LogSettingsResponse {
  message SettingValue {
    oneof parameter_choice {
      bool bool_param = 1; uint32 uint32_param = 2; string string_param = 3;
    }
  }
  map<string, SettingValue> settings = 1;
}
"""
)

#: The service's calls; each takes NAMERequest and gives NAMEResponse.
METHODS = (
    "ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer",
    "ModelConfig", "ModelStatistics", "RepositoryIndex", "RepositoryModelLoad",
    "RepositoryModelUnload", "SystemSharedMemoryStatus", "SystemSharedMemoryRegister",
    "SystemSharedMemoryUnregister", "CudaSharedMemoryStatus", "CudaSharedMemoryRegister",
    "CudaSharedMemoryUnregister", "TraceSetting", "LogSettings",
)  # fmt: skip

_Field = descriptor_pb2.FieldDescriptorProto
_TOKEN = re.compile(r"map<\w+, \w+>|[\w.]+|[{}=;]")


class _Reader:
    """Turns the table into a file's descriptor."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        self._at = 0

    def file(self) -> descriptor_pb2.FileDescriptorProto:
        file = descriptor_pb2.FileDescriptorProto(
            name="quaver/inference.proto", package=PACKAGE, syntax="proto3"
        )
        while self._at < len(self._tokens):
            if self._next() == "enum":
                self._enum(file.enum_type.add(name=self._next()))
            else:
                self._message(file.message_type.add(name=self._next()))
        return file

    def _next(self) -> str:
        self._at += 1
        token: str = self._tokens[self._at - 1]
        return token

    def _message(self, message: descriptor_pb2.DescriptorProto) -> None:
        self._next()  # {
        while (token := self._next()) != "}":
            if token == "message":
                self._message(message.nested_type.add(name=self._next()))
            elif token == "enum":
                self._enum(message.enum_type.add(name=self._next()))
            elif token == "oneof":
                message.oneof_decl.add(name=self._next())
                self._next()  # {
                while (token := self._next()) != "}":
                    self._field(message, token).oneof_index = len(message.oneof_decl) - 1
            else:
                self._field(message, token)

    def _enum(self, enum: descriptor_pb2.EnumDescriptorProto) -> None:
        self._next()  # {
        while (name := self._next()) != "}":
            self._next()  # =
            enum.value.add(name=name, number=int(self._next()))
            self._next()  # ;

    def _field(self, message: descriptor_pb2.DescriptorProto, token: str) -> Any:
        repeated = token == "repeated"
        kind = self._next() if repeated else token
        name, _, number, _ = (self._next() for _ in range(4))
        if kind.startswith("map<"):
            repeated, kind = True, self._entry(message, name, kind)
        field = message.field.add(name=name, number=int(number))
        field.label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
        _set_type(field, kind)
        return field

    def _entry(self, message: descriptor_pb2.DescriptorProto, name: str, kind: str) -> str:
        """A map is a repeated message of key and value."""
        key, value = kind[len("map<") : -1].split(", ")
        entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
        entry.options.map_entry = True
        for number, (part, part_kind) in enumerate((("key", key), ("value", value)), 1):
            field = entry.field.add(name=part, number=number, label=_Field.LABEL_OPTIONAL)
            _set_type(field, part_kind)
        return str(entry.name)


def _set_type(field: Any, kind: str) -> None:
    scalar = f"TYPE_{kind.upper()}"
    if scalar in _Field.Type.keys():  # noqa: SIM118 -- no dict
        field.type = _Field.Type.Value(scalar)
    else:
        field.type_name = kind  # a message or an enum; the pool finds out which


@functools.cache
def messages() -> dict[str, Any]:
    """The classes of all messages, by name."""
    pool = descriptor_pool.DescriptorPool()
    file = pool.AddSerializedFile(_Reader("".join(_MESSAGES)).file().SerializeToString())
    return {
        name: message_factory.GetMessageClass(descriptor)
        for name, descriptor in file.message_types_by_name.items()
    }
