#!/usr/bin/env python3
"""What an entry costs the card: bytes that reach the block device, the file system's own journal included.

    benches/card.py [--bin target/release/deuced] [--entries 200] [--before 5000] [--most KIB]

Each case is a server on a fresh ext4 of its own, on a loop device over a file in memory, so that the kernel's count for
that device (/sys/block/loopN/stat) is this case alone. After each entry the file system is synced, as happens by itself
when entries come minutes apart. Needs root, losetup and mkfs.ext4; says so and fails where something is missing.
With --most the run fails when an entry that one other member is notified of costs more."""
import argparse, ctypes, http.client, json, os, shutil, subprocess, sys, tempfile, time

LIBC = ctypes.CDLL(None, use_errno=True)


def sh(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


class Disk:
    """A fresh ext4 that nobody else writes to."""

    def __init__(self, megabytes=192):
        image = tempfile.NamedTemporaryFile(dir="/dev/shm", delete=False)
        image.truncate(megabytes << 20)
        image.close()
        self.image, self.place = image.name, tempfile.mkdtemp()
        self.device = sh("losetup", "-f", "--show", self.image)
        sh("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.device)
        sh("mount", "-o", "noatime", self.device, self.place)
        self.folder = os.open(self.place, os.O_RDONLY)

    def sync(self):
        if LIBC.syncfs(self.folder) != 0:
            raise OSError(ctypes.get_errno(), "syncfs")

    def written(self):
        with open(f"/sys/block/{os.path.basename(self.device)}/stat") as file:
            return int(file.read().split()[6]) * 512

    def close(self):
        os.close(self.folder)
        for words in (["umount", self.place], ["losetup", "-d", self.device]):
            subprocess.run(words)
        os.unlink(self.image)
        os.rmdir(self.place)


class Server:
    def __init__(self, binary, data):
        limits = ["deuces_per_minute", "groups_per_minute", "joins_per_minute", "logins_per_minute",
                  "api_requests_per_minute", "address_requests_per_minute"]
        words = [binary, "serve", "--open", "--listen", "127.0.0.1:0", "--data", data]
        for limit in limits:
            words += ["--limit", f"{limit}=1000000000"]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(1000):
            try:
                with open(f"{data}/address") as file:
                    self.address = file.read().strip()
                    break
            except FileNotFoundError:
                time.sleep(0.01)
        else:
            raise SystemExit("the server does not start: " + self.process.stderr.read().decode())

    def person(self, name):
        return Person(self.address, name)

    def written(self):
        with open(f"/proc/{self.process.pid}/io") as file:
            return int(file.read().split("write_bytes: ")[1].split()[0])

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Person:
    def __init__(self, address, name):
        self.connection = http.client.HTTPConnection(address)
        self.headers = {"Content-Type": "application/json"}
        self.headers["Authorization"] = "Bearer " + self.ask("POST", "/api/login", {"username": name})["token"]

    def ask(self, method, path, body=None):
        self.connection.request(method, path, json.dumps(body) if body is not None else None, self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{method} {path}: {answer.status} {text[:200]}")
        return json.loads(text)


def case(binary, members, before, entries, spaced):
    disk = Disk()
    try:
        server = Server(binary, disk.place + "/data")
        ann = server.person("Ann")
        group = ann.ask("POST", "/api/groups", {"name": "Home"})["id"]
        for number in range(members):
            member = server.person(f"Member {number}")
            invite = ann.ask("POST", f"/api/groups/{group}/invite", {})
            member.ask("POST", f"/api/join/{invite['id']}", {})
        entry = {"groupIds": [group], "location": "Home", "thoughts": "x" * 60}
        for _ in range(before):
            ann.ask("POST", "/api/deuces", entry)
        disk.sync()
        time.sleep(0.3)
        device, process = disk.written(), server.written()
        for _ in range(entries):
            ann.ask("POST", "/api/deuces", entry)
            if spaced:
                disk.sync()
        disk.sync()
        device, process = disk.written() - device, server.written() - process
        server.stop()
        return device / entries / 1024, process / entries / 1024
    finally:
        disk.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default="target/release/deuced")
    parser.add_argument("--entries", type=int, default=200)
    parser.add_argument("--before", type=int, default=5000)
    parser.add_argument("--most", type=float)
    told = parser.parse_args()
    for tool in ("losetup", "mkfs.ext4", "mount"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is missing")
    if os.geteuid() != 0:
        raise SystemExit("only root can mount a file system of its own")
    costs = []
    for members in (1, 2, 6):
        device, process = case(told.bin, members, told.before, told.entries, True)
        costs.append(device)
        print(f"{members} notified, entries minutes apart: {device:.1f} KiB on the device, {process:.1f} KiB by /proc/PID/io", flush=True)
    device, process = case(told.bin, 2, told.before, told.entries, False)
    print(f"2 notified, entries in a row:        {device:.1f} KiB on the device, {process:.1f} KiB by /proc/PID/io", flush=True)
    if told.most is not None and costs[0] > told.most:
        raise SystemExit(f"an entry that one other is notified of costs {costs[0]:.1f} KiB, more than {told.most}")


if __name__ == "__main__":
    sys.exit(main())
