#!/bin/sh
# Plain curl: sh examples/curl.sh PHOTO
set -eu
url=${GANVAS_URL:-http://localhost:3000}

# The API key, if the service requires one. It goes into a file, because other users can see the arguments of a command.
set -- "$1"
if [ -n "${GANVAS_API_KEY:-}" ]; then
    printf 'Authorization: Bearer %s\n' "$GANVAS_API_KEY" > key-header
    trap 'rm -f key-header' EXIT
    set -- "$1" -H @key-header
fi
photo=$1
shift

# List the models and their styles.
curl -sS --fail-with-body "$@" "$url/v1/models" -o models.json

# Sixteen digits as one contact sheet. The seed in the header Ganvas-Seed makes the same digits again.
curl -sS --fail-with-body "$@" "$url/v1/sample" -H 'Content-Type: application/json' \
    -d '{"model": "digits", "n": 16}' -o digits.png -D headers.txt
grep -i '^ganvas-' headers.txt

# Stylize a photo.
curl -sS --fail-with-body "$@" "$url/v1/stylize" -F image=@"$photo" -F style=starry-night -F max_side=512 -o stylized.jpg

# An error response says what went wrong. With --fail-with-body, curl keeps the response and exits with code 22.
curl -sS --fail-with-body "$@" "$url/v1/stylize" -F image=@"$photo" -F style=rembrandt -o problem.json || cat problem.json
