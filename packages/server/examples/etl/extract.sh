#!/bin/sh
# Extracts a table: here, copies a file. Prints where it is.
set -eu
[ -e "source/$1.csv" ] || { echo "the source has no table $1" >&2; exit 66; }
[ ! -e source/down ] || { echo "the source is down" >&2; exit 75; }
sleep "${ETL_PAUSE:-0}"
mkdir -p work
cp "source/$1.csv" "work/$1-$2.csv.part"
mv "work/$1-$2.csv.part" "work/$1-$2.csv"
echo "work/$1-$2.csv"
