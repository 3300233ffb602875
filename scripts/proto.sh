#!/usr/bin/env bash
# Checks the protos: `lint` (style), `breaking REF` (against the protos of a git revision).
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$PWD/build/bin
mkdir -p "$bin"
(cd tools && GOWORK=off go build -o "$bin/" github.com/bufbuild/buf/cmd/buf)
scripts/third-party-protos.sh

cd proto
case "${1:-}" in
lint)
	"$bin/buf" lint
	"$bin/buf" format -d --exit-code --path entraflow
	;;
breaking)
	# The older protos are taken out of git with today's third-party ones beside them.
	old=$(mktemp -d)
	trap 'rm -rf "$old"' EXIT
	git archive "${2:?usage: scripts/proto.sh breaking REF}" . | tar -x -C "$old"
	cp -R third_party "$old/"
	"$bin/buf" breaking --path entraflow --against "$old"
	;;
*)
	echo "usage: scripts/proto.sh lint | breaking REF" >&2
	exit 2
	;;
esac
