#!/bin/sh
# Joins orders (id,customer,amount) with customers (id,name). Rows with a bad amount or customer are rejected.
set -eu
sleep "${ETL_PAUSE:-0}"
good="work/clean-$3.csv" bad="work/rejected-$3.csv"
: > "$good" && : > "$bad"
awk -F, -v good="$good" -v bad="$bad" '
    FNR == NR { if (FNR > 1) name[$1] = $2; next }
    FNR == 1 { next }
    $3 ~ /^[0-9]+(\.[0-9]+)?$/ && $2 in name { print $1 "," name[$2] "," $3 > good; kept++; next }
    { print > bad; lost++ }
    END { printf "{\"file\": \"%s\", \"rejected\": \"%s\", \"good\": %d, \"bad\": %d}\n", good, bad, kept, lost }
' "$2" "$1"
