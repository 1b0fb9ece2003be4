"""Fetching light curves from a server that does what servers do: continues files, cuts answers short,
lacks files, has trouble, sends damaged bytes, is slow. The cache holds the needed columns only."""

import csv
import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
from astropy.io import fits
from runs import call_all, require, wait_for

COLUMNS = ["TIME", "CADENCENO", "PDCSAP_FLUX", "PDCSAP_FLUX_ERR", "QUALITY"]


class Server:
    """A folder over HTTP. `behaviour[name]` is a list of what happens to the next requests of a file:
    cut, lost (no length, closed early), damaged, a status; slow holds for all. `asked` is the log."""

    def __init__(self, folder):
        self.folder, self.behaviour, self.asked = folder, {}, []
        self.ranges, self.pause = True, 0.0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                name = self.path.rsplit("/", 1)[-1]
                outer.asked.append((name, self.headers.get("Range")))
                outer.answer(self, name)

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def answer(self, request, name):
        planned = self.behaviour.get(name) or [None]
        action = planned.pop(0)
        path = self.folder / name
        if isinstance(action, int) or not path.exists():
            request.send_response(action or 404)
            request.send_header("Retry-After", "0")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        data = bytearray(path.read_bytes())
        if action == "damaged":
            data[len(data) - 5000] ^= 64
        first = 0
        asked = request.headers.get("Range")
        if asked and self.ranges:
            first = int(asked.split("=")[1].rstrip("-"))
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        else:
            request.send_response(200)
        body = bytes(data[first:])
        if action != "lost":
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if action in ("cut", "lost"):
            body = body[:len(body) // 2]
        try:
            for at in range(0, len(body), 65536):
                request.wfile.write(body[at:at + 65536])
                time.sleep(self.pause)
        except OSError:
            pass  # the client went away
        request.close_connection = True

    def requests(self, name):
        return [span for asked, span in self.asked if asked == name]

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


def served(program, folder):
    """A server with the light curves of two stars in two sectors, their names, and a configuration."""
    program.run("simulate", "flares", "--out", folder / "s", "--size", "tiny")
    files = folder / "files"
    files.mkdir()
    names = []
    for path in sorted((folder / "s" / "light_curves").glob("*/*.fits")):
        with fits.open(path) as hdus:
            hdus.writeto(files / path.name, checksum=True)
        names.append(path.name)
    for sector in (1, 2):
        lines = [f"curl -C - -L -o {n} https://elsewhere/{n}" for n in names if f"-s{sector:04}-" in n]
        strange = lines[0].replace("900000001", "123456789")  # of nobody's target list
        (files / f"tesscurl_sector_{sector}_lc.sh").write_text("\n".join(["#!/bin/sh", strange] + lines))
    server = Server(files)
    config = folder / "fetch.toml"
    config.write_text(f"""[inputs]
base_url = "{server.url}"
cache_dir = "cache"
targets = "s/targets.csv"
[fetch]
wait_s = 0.01
stalled_s = 5
""")
    return server, names, config


def record(folder):
    with open(folder / "cache" / "files.csv", encoding="utf-8") as file:
        return {row["file"].split("/")[-1]: row for row in csv.DictReader(file)}


def cached(folder, name):
    return folder / "cache" / name[18:23] / name


def require_whole(folder, server, names):
    for name in names:
        with fits.open(cached(folder, name)) as mine, fits.open(server.folder / name) as theirs:
            require(mine[1].columns.names == COLUMNS, f"{name}: {mine[1].columns.names}")
            for column in COLUMNS:
                require(np.array_equal(mine[1].data[column], theirs[1].data[column], equal_nan=True), column)
            for card in ("TICID", "SECTOR", "TESSMAG", "TEFF", "RA_OBJ"):
                require(mine[0].header[card] == theirs[0].header[card], card)
            require(mine[1].header["TIMEDEL"] == theirs[1].header["TIMEDEL"], "TIMEDEL")
        require(cached(folder, name).stat().st_size < 0.4 * (server.folder / name).stat().st_size, "size")
        require(record(folder)[name]["state"] == "fetched", record(folder)[name])
    require(not list((folder / "cache").rglob("*.part")), "no parts are left")


def fetches_and_has_them(program, folder):
    server, names, config = served(program, folder)
    said = program.run("flares", "fetch", config)
    require("4 light curves: 0 were there, 4 fetched, 0 failed" in said, said)
    require_whole(folder, server, names)
    require(all(server.requests(name) == [None] for name in names), server.asked)
    server.asked.clear()
    said = program.run("flares", "fetch", config)
    require("4 were there, 0 fetched" in said, said)
    require(not [n for n, _ in server.asked if n.endswith(".fits")], server.asked)
    # A file of the cache that changed is no longer the one that was fetched.
    damaged = cached(folder, names[0])
    damaged.write_bytes(damaged.read_bytes()[:-2880])
    said = program.run("flares", "fetch", config)
    require("3 were there, 1 fetched" in said, said)
    require_whole(folder, server, names)
    # One sector only, and file names instead of stars.
    said = program.run("flares", "fetch", config, "--set", "fetch.sectors=[2]", "--set",
                       "inputs.cache_dir=other")
    require("2 light curves" in said, said)
    (folder / "names.txt").write_text(names[3] + "\n")
    said = program.run("flares", "fetch", config, "--set", "inputs.targets=names.txt")
    require("1 light curves: 1 were there" in said, said)
    server.close()


def trouble_passes(program, folder):
    server, names, config = served(program, folder)
    server.behaviour = {names[0]: ["cut", "cut"], names[1]: [503, 429], names[2]: ["damaged"],
                        names[3]: ["lost"]}
    said = program.run("flares", "fetch", config)
    require("4 fetched, 0 failed" in said, said)
    require_whole(folder, server, names)
    size = (server.folder / names[0]).stat().st_size
    spans = server.requests(names[0])
    half = size // 2
    require(spans == [None, f"bytes={half}-", f"bytes={half + (size - half) // 2}-"], spans)
    require(server.requests(names[1]) == [None] * 3, server.asked)
    require(server.requests(names[2]) == [None] * 2, server.asked)
    server.close()


def failures_are_told_and_tried_again(program, folder):
    server, names, config = served(program, folder)
    (server.folder / names[1]).rename(server.folder / "away")
    server.behaviour = {names[2]: ["damaged"] * 5}
    said = program.run("flares", "fetch", config, expect=3)
    require("2 fetched, 2 failed" in said, said)
    told = record(folder)
    require(told[names[1]]["state"] == "failed" and "404" in told[names[1]]["reason"], told)
    require(server.requests(names[1]) == [None], "404 is final")
    require("checksum" in told[names[2]]["reason"] and "5 tries" in told[names[2]]["reason"], told)
    require(not cached(folder, names[2]).exists(), "a damaged file is not kept")
    (server.folder / "away").rename(server.folder / names[1])
    said = program.run("flares", "fetch", config)
    require("2 were there, 2 fetched, 0 failed" in said, said)
    require_whole(folder, server, names)
    server.close()
    said = program.run("flares", "fetch", config, "--set", "inputs.cache_dir=new", "--set",
                       "fetch.sectors=[1]", "--set", "fetch.tries=2", expect=2)
    require("tesscurl_sector_1_lc.sh" in said and said.count("skyloom: ") == 1, said)


def interrupted(program, folder, config, server, stop):
    """Interrupts a fetch in the middle of a file."""
    server.pause = 0.05
    process = program.start("flares", "fetch", config)
    parts = folder / "cache"
    wait_for(lambda: any(p.stat().st_size > 65536 for p in parts.rglob("*.fits.part")), "a part")
    process.send_signal(stop)
    program.wait(process, 75 if stop != signal.SIGKILL else -signal.SIGKILL)
    server.pause = 0.0
    left = {p.name[:-len(".part")]: p.stat().st_size for p in parts.rglob("*.fits.part")}
    require(left and all(size > 0 for size in left.values()), left)
    server.asked.clear()
    return left


def interruptions_are_resumed(program, folder):
    server, names, config = served(program, folder)
    for stop in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        left = interrupted(program, folder, config, server, stop)
        said = program.run("flares", "fetch", config)
        require("0 failed" in said, said)
        for name, size in left.items():
            require(server.requests(name) == [f"bytes={size}-"], (server.requests(name), size))
        require_whole(folder, server, names)
        shutil.rmtree(folder / "cache")
    # A server that cannot continue files: they come from their beginning.
    left = interrupted(program, folder, config, server, signal.SIGTERM)
    server.ranges = False
    program.run("flares", "fetch", config)
    require(all(server.requests(n) == [f"bytes={s}-", None] for n, s in left.items()), server.asked)
    require_whole(folder, server, names)
    server.close()


def script_downloads(program, folder):
    server, names, config = served(program, folder)
    said = program.run("flares", "fetch-list", config, "--out", folder / "get.sh")
    require("4 light curves" in said, said)
    text = (folder / "get.sh").read_text()
    require(all(f"'{server.url}/{name}'" in text for name in names), text)
    require(text == program.run("flares", "fetch-list", config), "the same on standard output")
    subprocess.run(["sh", "-n", folder / "get.sh"], check=True)
    if shutil.which("curl"):
        (folder / "got").mkdir()
        subprocess.run([folder / "get.sh"], cwd=folder / "got", check=True)
        for name in names:
            got = folder / "got" / name[18:23] / name
            require(got.read_bytes() == (server.folder / name).read_bytes(), name)
    server.close()


def wrong_requests_are_refused(program, folder):
    server, _, config = served(program, folder)
    for change, hint in (("inputs.targets=", "inputs.targets"), ("inputs.cache_dir=", "inputs.cache_dir"),
                         ("inputs.base_url=mast", "inputs.base_url"), ("inputs.targets=none.csv", "none.csv"),
                         ("fetch.sectors=[1, 7]", "sector 7"), ("fetch.parallel=0", "fetch.parallel")):
        said = program.run("flares", "fetch", config, "--set", change, expect=2)
        lines = [line for line in said.splitlines() if line.startswith("skyloom: ")]
        require(len(lines) == 1 and hint in lines[0], f"{change}: {said}")
    server.close()


if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"], [
        fetches_and_has_them,
        trouble_passes,
        failures_are_told_and_tried_again,
        interruptions_are_resumed,
        script_downloads,
        wrong_requests_are_refused,
    ]))
