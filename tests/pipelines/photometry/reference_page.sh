#!/bin/sh
# docs/config/photometry.md is what the program generates, and the template reads back.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$SKYLOOM" config photometry --markdown >"$folder/photometry.md"
diff -u "$SKYLOOM_SOURCE_DIR/docs/config/photometry.md" "$folder/photometry.md"
"$SKYLOOM" config photometry --out "$folder/all.toml"
for file in "$folder/all.toml" "$SKYLOOM_SOURCE_DIR/jobs/photometry.toml"; do
  said=$("$SKYLOOM" photometry run "$file" --out "$folder/run" 2>&1) && exit 1
  # Every key is accepted: what is missing is the catalogue or the images.
  case "$said" in
    *"unknown key"* | *"wrong type"* | *"out of range"*) echo "$said"; exit 1 ;;
  esac
  [ ! -e "$folder/run" ]
done
