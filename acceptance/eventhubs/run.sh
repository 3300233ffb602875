#!/bin/sh
# Runs azeventhubs' own tests against the simulator. Arguments go to the program, such as -stages 1.
set -eu
cd "$(dirname "$0")"
mkdir -p ../../build/acceptance/eventhubs
GOWORK=off go build -o ../../build/acceptance/eventhubs/acceptance .
exec ../../build/acceptance/eventhubs/acceptance "$@"
