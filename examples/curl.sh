#!/bin/sh
# Plain curl: sh examples/curl.sh PHOTO
set -eu
url=${GANVAS_URL:-http://localhost:3000}

# With a key, where the service wants one. Arguments of a command can be seen by others on the machine, a file's content not.
set -- "$1"
if [ -n "${GANVAS_API_KEY:-}" ]; then
    printf 'Authorization: Bearer %s\n' "$GANVAS_API_KEY" > key-header
    trap 'rm -f key-header' EXIT
    set -- "$1" -H @key-header
fi
photo=$1
shift

# Which models there are, and their styles.
curl -sS --fail-with-body "$@" "$url/v1/models" -o models.json

# Sixteen digits as one contact sheet; the header Ganvas-Seed says how to get the same ones again.
curl -sS --fail-with-body "$@" "$url/v1/sample" -H 'Content-Type: application/json' \
    -d '{"model": "digits", "n": 16}' -o digits.png -D headers.txt
grep -i '^ganvas-' headers.txt

# A photo, painted.
curl -sS --fail-with-body "$@" "$url/v1/stylize" -F image=@"$photo" -F style=starry-night -F max_side=512 -o painted.jpg

# What is wrong is said in words; --fail-with-body ends curl with 22 and keeps them.
curl -sS --fail-with-body "$@" "$url/v1/stylize" -F image=@"$photo" -F style=rembrandt -o problem.json || cat problem.json
