"""The server under test on free ports of loopback, one for the whole run. SLUICEGATE_BIN: the binary."""

import json
import os
import pathlib
import socket
import subprocess
import time
import urllib.request

import pytest

KEY, SECRET = "devkey", "secret"
READY_SECONDS_MAX = 20
ROOT = pathlib.Path(__file__).resolve().parents[3]


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(process, http):
    end = time.monotonic() + READY_SECONDS_MAX
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(http, timeout=1) as response:
                if response.status == 200:
                    return True
        except OSError:
            time.sleep(0.05)
    return False


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The URL of a running server, as ws://."""
    port = free_port(socket.SOCK_STREAM)
    config = {
        "port": port,
        "bind_addresses": ["127.0.0.1"],
        "keys": {KEY: SECRET},
        "rtc": {"udp_port": free_port(socket.SOCK_DGRAM), "tcp_port": free_port(socket.SOCK_STREAM)},
        "prometheus": {"port": free_port(socket.SOCK_STREAM)},
    }
    binary = os.environ.get("SLUICEGATE_BIN", str(ROOT / "target/release/sluicegate"))
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("wb") as out:
        command = [binary, "--dev", "--node-ip", "127.0.0.1", "--config-body", json.dumps(config)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        assert wait_until_ready(process, f"http://127.0.0.1:{port}/"), log.read_text()[-4000:]
        yield f"ws://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(8)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
