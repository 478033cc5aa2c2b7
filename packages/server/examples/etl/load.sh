#!/bin/sh
# Loads a day. The key is that of all attempts at this step, so a repeated load is recognised.
set -eu
sleep "${ETL_PAUSE:-0}"
mkdir -p warehouse
if [ ! -e "warehouse/$2.$COUNTERPOINT_IDEMPOTENCY_KEY" ]; then
    cp "$1" "warehouse/.part"
    mv "warehouse/.part" "warehouse/$2.csv"
    : > "warehouse/$2.$COUNTERPOINT_IDEMPOTENCY_KEY"
    echo "$COUNTERPOINT_IDEMPOTENCY_KEY $2" >> warehouse/loads.log
fi
awk 'END { print NR }' "warehouse/$2.csv"
