#!/usr/bin/env bash
# Regenerates everything that is generated: Go from the protos (proto/gen), the subject builders,
# and what pkg/bus derives from the descriptors (docs/streams.md, deploy/nats/permissions.conf).
# Third-party protos come from pinned Go modules and are laid into proto/third_party for the run.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$PWD/build/bin
mkdir -p "$bin"
(cd tools && GOWORK=off go build -o "$bin/" github.com/bufbuild/buf/cmd/buf \
	google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc)
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
go run ./pkg/bus/cmd/topology -docs docs/streams.md -permissions deploy/nats/permissions.conf
