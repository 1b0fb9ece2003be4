#!/usr/bin/env bash
# The sample report in headless chromium: everything is drawn, nothing fails, and the picture of the
# page is not blank. report.sh BROWSER_SAMPLE [FOLDER to keep the screenshot in]
set -eu
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$browser" ]; then
  echo "skipped: no chromium" >&2
  exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1" "$folder/report.html"

chrome() {
  timeout 60 "$browser" --headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-dev-shm-usage --disable-background-networking --disable-component-update --disable-sync \
    --user-data-dir="$folder/profile" --virtual-time-budget=8000 --window-size=1280,1600 \
    --hide-scrollbars "$@" 2>"$folder/log"
}
chrome --dump-dom "file://$folder/report.html" >"$folder/dom.html"
check() {
  if ! grep -q -- "$1" "$folder/dom.html"; then
    echo "the drawn page lacks: $1" >&2
    grep -o '<body[^>]*>' "$folder/dom.html" >&2 || true
    grep -v dbus "$folder/log" >&2 || true
    exit 1
  fi
}
check 'data-ready="1"'
check 'data-errors="0"'
check 'data-charts="5"'
check 'data-pictures="4"'
check 'data-blank="0"'
check 'Photometry of field &lt;T07&gt; &amp; neighbours'
chrome --screenshot="$folder/page.png" "file://$folder/report.html" >/dev/null
size=$(stat -c %s "$folder/page.png")
if [ "$size" -lt 40000 ]; then
  echo "the picture of the page is only $size bytes: nothing was drawn" >&2
  exit 1
fi
# The same page with a script that presses its buttons.
{
  sed '/^<\/body>$/,$d' "$folder/report.html"
  printf '<script>\n'
  cat "$(dirname "$0")/interactions.js"
  printf '</script>\n</body>\n</html>\n'
} >"$folder/used.html"
chrome --dump-dom "file://$folder/used.html" >"$folder/dom.html"
check 'data-errors="0"'
check 'data-used="well"'
if [ -n "${2:-}" ]; then
  cp "$folder/page.png" "$folder/report.html" "$2"
fi
