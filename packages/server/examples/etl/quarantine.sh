#!/bin/sh
# Puts rows aside for a look by people.
set -eu
mkdir -p quarantine
cp "$1" "quarantine/$2.csv"
echo "$3" > "quarantine/$2.reason"
