#!/bin/sh
# Writes the index of pages.
set -eu
echo index >> rendered.log
{
    echo "<!doctype html><html><body><ul>"
    for page in "$@"; do
        name=${page#out/}
        echo "<li><a href=\"$name\">$(sed -n 's|.*<h1>\(.*\)</h1>.*|\1|p' "$page")</a></li>"
    done
    echo "</ul></body></html>"
} > out/index.html.part
mv out/index.html.part out/index.html
echo out/index.html
