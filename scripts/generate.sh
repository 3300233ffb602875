#!/usr/bin/env bash
# Regenerates everything that is generated: Go from the protos (proto/gen), the subject builders,
# the REST gateway and its OpenAPI document (services/gateway/internal/rest/gen), and what pkg/bus derives from the descriptors (docs/streams.md, deploy/nats/permissions.conf).
# Third-party protos come from pinned Go modules and are laid into proto/third_party for the run.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$PWD/build/bin
mkdir -p "$bin"
(cd tools && GOWORK=off go build -o "$bin/" github.com/bufbuild/buf/cmd/buf \
	google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc \
	github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway \
	github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-openapiv3 \
	github.com/grpc-ecosystem/grpc-gateway/v2/openapiv3-merge)
export PATH=$bin:$PATH

scripts/third-party-protos.sh

cd proto
# The generator of the subject builders is built before its own output is wiped.
go build -o "$bin/" ./cmd/protoc-gen-entraflow
buf format -w --path entraflow
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
buf generate -o "$out"
rm -rf gen/go/entraflow
mkdir -p gen/go
cp -R "$out/gen/go/entraflow" gen/go/

cd ..
rest=services/gateway/internal/rest/gen
rm -rf "$rest"
mkdir -p "$rest"
cp "$out"/rest/entraflow/control/v1/*.pb.gw.go "$rest/"
# The first document gives title, server and security to the whole.
find "$out/openapi" -name '*.json' | sort | xargs openapiv3-merge services/gateway/internal/rest/openapi.base.json >"$rest/openapi.json"
go run ./pkg/bus/cmd/topology -docs docs/streams.md -permissions deploy/nats/permissions.conf
