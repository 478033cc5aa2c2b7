#!/bin/sh
# Renders a page. Lines that begin with `# ` are headings.
set -eu
echo "$1" >> rendered.log
sleep "${BUILD_PAUSE:-0}"
mkdir -p out
{
    echo "<!doctype html><html><body>"
    sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's|^# \(.*\)$|<h1>\1</h1>|' -e 's|^\([^<].*\)$|<p>\1</p>|' "pages/$1"
    echo "</body></html>"
} > "out/$1.html.part"
mv "out/$1.html.part" "out/$1.html"
echo "out/$1.html"
