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


class Server:
    """A server on ports of its own, that can be started again on the same ones."""

    def __init__(self, log, **more):
        self.port, self.log, self.process = free_port(socket.SOCK_STREAM), log, None
        config = {
            "port": self.port,
            "bind_addresses": ["127.0.0.1"],
            "keys": {KEY: SECRET},
            "rtc": {"udp_port": free_port(socket.SOCK_DGRAM), "tcp_port": free_port(socket.SOCK_STREAM)},
            "prometheus": {"port": free_port(socket.SOCK_STREAM)},
        }
        binary = os.environ.get("SLUICEGATE_BIN", str(ROOT / "target/release/sluicegate"))
        self.command = [binary, "--dev", "--node-ip", "127.0.0.1", "--config-body", json.dumps(config | more)]
        self.url = f"ws://127.0.0.1:{self.port}"

    def start(self):
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        assert wait_until_ready(self.process, f"http://127.0.0.1:{self.port}/"), self.log.read_text()[-4000:]

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(8)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The URL of a running server, as ws://."""
    with Server(tmp_path_factory.mktemp("server") / "log") as running:
        yield running.url
