#!/usr/bin/env bash
# Checks who imports whom: proto <- pkg <- services; no service imports another, but entraflow (the
# one-process program), which imports them all; entractl imports proto only; msgraph-sdk-go stays in
# pkg/entra, the services that write typed models and one test of the simulator; proto keeps its tiny dependencies.
set -euo pipefail
cd "$(dirname "$0")/.."

M=github.com/entraflow/entraflow
fail=0
deny() { echo "deps: $1 must not import $2: $3" >&2; fail=1; }

# Direct imports of every package, tests included, as "package import" lines.
imports=$(go list -e -f '{{$p := .ImportPath}}{{range .Imports}}{{$p}} {{.}}
{{end}}{{range .TestImports}}{{$p}} {{.}}
{{end}}{{range .XTestImports}}{{$p}} {{.}}
{{end}}' ./proto/... ./pkg/... ./services/... | sort -u)

service_of() { local rest=${1#"$M"/services/}; echo "${rest%%/*}"; }

while read -r package import; do
	case $package in
	"$M"/proto/*)
		case $import in "$M"/pkg/* | "$M"/services/*) deny "$package" "$import" "proto is what clients import" ;; esac
		;;
	"$M"/pkg/*)
		case $import in "$M"/services/*) deny "$package" "$import" "pkg serves the services" ;; esac
		;;
	"$M"/services/*)
		from=$(service_of "$package")
		case $import in
		"$M"/services/*)
			to=$(service_of "$import")
			# Tests of a service may use the simulator: it stands in for Microsoft, not for a service.
			if [ "$from" != "$to" ] && [ "$from" != entraflow ] && [ "$to" != simulator ]; then
				deny "$package" "$import" "services talk through streams"
			fi
			;;
		"$M"/pkg/*)
			[ "$from" != entractl ] || deny "$package" "$import" "the client needs only proto"
			;;
		esac
		;;
	esac
	case $import in
	*/msgraph-sdk-go | */msgraph-sdk-go/*)
		case $package in "$M"/pkg/entra/* | "$M"/services/remediation/* | "$M"/services/simulator/entra/sdk) ;; *) deny "$package" "$import" "it takes minutes to compile" ;; esac
		;;
	esac
done <<<"$imports"

# The simulator is for tests and the one-process program: no shipped code of a service imports it.
while read -r package import; do
	case $import in
	"$M"/services/simulator | "$M"/services/simulator/*)
		case $(service_of "$package") in simulator | entraflow) ;; *) deny "$package" "$import" "only tests may" ;; esac
		;;
	esac
done < <(go list -f '{{$p := .ImportPath}}{{range .Imports}}{{$p}} {{.}}
{{end}}' ./services/...)

exit $fail
