"""What a program may not do in the sandbox of deuced.service: this runs in the place of the server, and tries."""

import ctypes
import errno
import mmap
import os
import socket

libc = ctypes.CDLL(None, use_errno=True)


def ok(what):
    print("ok", what, flush=True)


def refused(what, act):
    try:
        act()
    except (OSError, PermissionError) as error:
        ok(f"{what}: {os.strerror(error.errno) if error.errno else error}")
        return
    raise SystemExit(f"FAIL {what}: it was allowed")


def call(name, *arguments):
    def act():
        ctypes.set_errno(0)
        if getattr(libc, name)(*arguments) == -1:
            raise OSError(ctypes.get_errno(), "")

    return act


def write_to(path):
    def act():
        with open(path, "w") as file:
            file.write("x")

    return act


with open("/var/lib/deuced/probe", "w") as mine:
    mine.write("x")
os.remove("/var/lib/deuced/probe")
ok("its own folder can be written")

for path in ["/etc/probe", "/usr/bin/probe", "/var/lib/probe", "/var/log/probe", "/home/probe", "/root/probe", "/run/probe",
             "/boot/probe", "/sys/fs/cgroup/probe", "/proc/sys/kernel/hostname"]:
    refused(f"writing {path}", write_to(path))
refused("writing over the program itself", write_to("/usr/bin/deuced"))

with open("/tmp/probe", "w"):
    pass
if not os.path.exists("/tmp/bad"):
    ok("/tmp is its own")
else:
    raise SystemExit("FAIL /tmp is everybody's")

others = [name for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
if others:
    raise SystemExit(f"FAIL other processes are seen: {others}")
ok("no other process is seen")

refused("looking into /root", lambda: os.listdir("/root"))
refused("reading the shadow passwords", lambda: open("/etc/shadow").read())
refused("becoming root", lambda: os.setuid(0))
refused("mounting", call("mount", b"none", b"/tmp", b"tmpfs", 0, None))
refused("a namespace of its own", call("unshare", 0x10000000))
refused("changing the root", lambda: os.chroot("/tmp"))
refused("setting the clock", call("clock_settime", 0, ctypes.byref((ctypes.c_long * 2)(0, 0))))
refused("a raw packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
refused("a netlink socket", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
refused("a device", lambda: os.mknod("/tmp/null", 0o020666, os.makedev(1, 3)))
refused("a file that runs as its owner", lambda: os.chmod("/tmp/probe", 0o4755))
refused("memory that is written and run", lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC))
refused("real time", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))
refused("tracing", call("ptrace", 0, 0, None, None))
refused("the system's name", call("sethostname", b"probe", 5))
