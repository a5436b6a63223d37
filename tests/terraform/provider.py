"""Fake google and archive providers, so that Terraform checks terraform/ without a network or an account.

It speaks terraform's plugin protocol 6 on a port of 127.0.0.1 each, and knows the schemas below schemas/ and
nothing else: names, types and
what is required are judged, values are not. Runs in a virtual environment of its own (locks/terraform.txt):

    python provider.py      prints what to put into TF_REATTACH_PROVIDERS, and serves until its standard input
    ends
"""

import hashlib
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import msgpack
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as pb_grpc

SCHEMAS = Path(__file__).parent / "schemas"
UNKNOWN = msgpack.ExtType(0, b"\0")
"""How the protocol writes "known after apply"."""
NESTING = {
    "single": pb.Schema.NestedBlock.SINGLE,
    "list": pb.Schema.NestedBlock.LIST,
    "set": pb.Schema.NestedBlock.SET,
}
FROM_PROVIDER = {"project": "project", "region": "region"}
"""Attributes that take the provider's own argument where they are not given."""
DATA_SOURCE_VALUES = {"number": "123456789012"}
"""What a data source gives where a plan needs the right form."""
WRITE_ONLY = b"\x58\x01"
"""The field `write_only = true` of an attribute, which the package `tf` does not know yet."""


class Provider(pb_grpc.ProviderServicer):
    """One provider, driven by its schema alone."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        self.arguments: dict[str, Any] = {}

    def GetProviderSchema(self, request, context):  # noqa: N802  # the protocol names the methods
        return pb.GetProviderSchema.Response(
            provider=pb.Schema(block=schema_message(self.schema["provider"])),
            resource_schemas={
                name: pb.Schema(block=schema_message(block))
                for name, block in self.schema["resources"].items()
            },
            data_source_schemas={
                name: pb.Schema(block=schema_message(block))
                for name, block in self.schema["data_sources"].items()
            },
        )

    def ConfigureProvider(self, request, context):  # noqa: N802
        self.arguments = decode_value(request.config) or {}
        return pb.ConfigureProvider.Response()

    def ValidateProviderConfig(self, request, context):  # noqa: N802
        return pb.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request, context):  # noqa: N802
        return pb.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request, context):  # noqa: N802
        return pb.ValidateDataResourceConfig.Response()

    def StopProvider(self, request, context):  # noqa: N802
        return pb.StopProvider.Response()

    def UpgradeResourceState(self, request, context):  # noqa: N802
        return pb.UpgradeResourceState.Response(upgraded_state=pb.DynamicValue(json=request.raw_state.json))

    def ReadResource(self, request, context):  # noqa: N802
        return pb.ReadResource.Response(new_state=request.current_state)

    def PlanResourceChange(self, request, context):  # noqa: N802
        proposed = decode_value(request.proposed_new_state)
        if proposed is None:  # to be destroyed
            return pb.PlanResourceChange.Response(planned_state=request.proposed_new_state)
        if request.type_name == "google_service_account":
            # So does the provider itself: the address follows from the name.
            project = proposed["project"] or self.arguments["project"]
            email = f"{proposed['account_id']}@{project}.iam.gserviceaccount.com"
            proposed |= {"email": email, "member": f"serviceAccount:{email}"}
        planned = self._fill_computed(
            self.schema["resources"][request.type_name], proposed, lambda name: UNKNOWN
        )
        return pb.PlanResourceChange.Response(planned_state=encode_value(planned))

    def ReadDataSource(self, request, context):  # noqa: N802
        asked = decode_value(request.config)
        digest = hashlib.sha256(repr(asked).encode()).hexdigest()[:32]
        read = self._fill_computed(
            self.schema["data_sources"][request.type_name],
            asked,
            lambda name: DATA_SOURCE_VALUES.get(name, digest),
            texts_only=True,
        )
        return pb.ReadDataSource.Response(state=encode_value(read))

    def _fill_computed(
        self, block: dict[str, Any], value: dict[str, Any], make_value: Any, texts_only: bool = False
    ) -> dict[str, Any]:
        """The value with every computed attribute that is not given filled in, and none that is
        write-only."""
        filled = dict(value)
        for name, (kind, flags) in block["attributes"].items():
            if "w" in flags:  # passed on, and never reported again
                filled[name] = None
            if "c" in flags and filled[name] is None:
                empty = (
                    {"number": 0, "bool": False}.get(kind, [])
                    if isinstance(kind, str)
                    else {}
                    if kind[0] == "map"
                    else []
                )
                default = self.arguments.get(FROM_PROVIDER.get(name, ""))
                filled[name] = default or (make_value(name) if kind == "string" or not texts_only else empty)
        for name, nested in block.get("blocks", {}).items():
            if isinstance(filled[name], list):
                filled[name] = [
                    self._fill_computed(nested, each, make_value, texts_only) for each in filled[name]
                ]
            elif isinstance(filled[name], dict):
                filled[name] = self._fill_computed(nested, filled[name], make_value, texts_only)
        return filled


def schema_message(block: dict[str, Any]) -> pb.Schema.Block:
    """A block of our schemas as the protocol writes it."""
    message = pb.Schema.Block()
    for name, (kind, flags) in block["attributes"].items():
        attribute = message.attributes.add(
            name=name,
            type=json.dumps(kind).encode(),
            required="r" in flags,
            optional="o" in flags,
            computed="c" in flags,
            sensitive="s" in flags,
        )
        if "w" in flags:
            attribute.MergeFromString(WRITE_ONLY)
    for name, nested in block.get("blocks", {}).items():
        message.block_types.add(
            type_name=name,
            block=schema_message(nested),
            nesting=NESTING[nested["nesting"]],
            min_items=nested.get("min", 0),
            max_items=nested.get("max", 0),
        )
    return message


def decode_value(value: pb.DynamicValue) -> Any:
    """A value as terraform sends it."""
    return msgpack.unpackb(value.msgpack, strict_map_key=False)


def encode_value(value: Any) -> pb.DynamicValue:
    """A value as terraform expects it."""
    return pb.DynamicValue(msgpack=msgpack.packb(value))


def main() -> None:
    """Serve one provider a schema."""
    reattach, servers = {}, []
    for file in sorted(SCHEMAS.glob("*.json")):
        server = grpc.server(ThreadPoolExecutor(max_workers=4))
        pb_grpc.add_ProviderServicer_to_server(Provider(json.loads(file.read_text())), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        reattach[f"hashicorp/{file.stem}"] = {
            "Protocol": "grpc",
            "ProtocolVersion": 6,
            "Pid": os.getpid(),
            "Test": True,
            "Addr": {"Network": "tcp", "String": f"127.0.0.1:{port}"},
        }
    print(json.dumps(reattach), flush=True)
    sys.stdin.read()
    for server in servers:
        server.stop(grace=None).wait()


if __name__ == "__main__":
    main()
