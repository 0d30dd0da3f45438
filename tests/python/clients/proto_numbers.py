"""Our messages are, number by number and type by type, those of the public specification."""

from typing import Any

from tritonclient.grpc import model_config_pb2, service_pb2

from quaver.serve.protocol import proto


def compare(ours: Any, theirs: Any) -> int:
    fields = {field.name: field for field in theirs.fields}
    for field in ours.fields:
        other = fields[field.name]
        assert field.number == other.number, field.full_name
        assert field.type == other.type, field.full_name
        assert field.is_repeated == other.is_repeated, field.full_name
        oneofs = [each.containing_oneof and each.containing_oneof.name for each in (field, other)]
        if oneofs[0] != "scheduling_choice" and "scheduling_choice" not in oneofs:
            assert oneofs[0] == oneofs[1], field.full_name
        if field.enum_type:
            numbers = field.enum_type.values_by_name
            others = field.enum_type.full_name and other.enum_type.values_by_name
            assert {k: v.number for k, v in numbers.items()} == {
                k: v.number for k, v in others.items()
            }
    for nested in ours.nested_types:
        compare(nested, theirs.nested_types_by_name[nested.name])
    return len(ours.fields)


theirs = {
    **service_pb2.DESCRIPTOR.message_types_by_name,
    **model_config_pb2.DESCRIPTOR.message_types_by_name,
}
for name, message in proto.messages().items():
    known = compare(message.DESCRIPTOR, theirs[name])
    if not name.startswith(("Model", "ModelDynamic")) or name.endswith(("Request", "Response")):
        assert known == len(theirs[name].fields), f"{name} lacks fields"
service = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
assert {method.name for method in service.methods} == {*proto.METHODS, "ModelStreamInfer"}
print("done")
