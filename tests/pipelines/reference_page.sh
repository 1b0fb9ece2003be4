#!/bin/sh
# reference_page.sh PIPELINE: docs/config/PIPELINE.md is what the program generates, and the template
# reads back.
set -eu
pipeline=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$SKYLOOM" config "$pipeline" --markdown >"$folder/page.md"
diff -u "$SKYLOOM_SOURCE_DIR/docs/config/$pipeline.md" "$folder/page.md"
"$SKYLOOM" config "$pipeline" --out "$folder/all.toml"
cp "$SKYLOOM_SOURCE_DIR/jobs/$pipeline.toml" "$folder/example.toml"
for file in "$folder/all.toml" "$folder/example.toml"; do
  said=$("$SKYLOOM" "$pipeline" run "$file" --out "$folder/run" 2>&1) && exit 1
  # Every key is accepted: what is missing are the inputs.
  case "$said" in
    *"unknown key"* | *"wrong type"* | *"out of range"*) echo "$said"; exit 1 ;;
  esac
  [ ! -e "$folder/run" ]
done
