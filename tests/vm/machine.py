# SPDX-License-Identifier: GPL-2.0-or-later
"""One test VM: its shares, its emulator, and the streams between guest and caller."""

import ctypes
import fcntl
import glob
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
DIR_PREFIX = "ksplit-vm."
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)

EXIT_TIMEOUT = 124
EXIT_BOOT = 125


def cache_dir():
    """The folder that tests/vm/fetch fills."""
    base = os.environ.get("KSPLIT_CACHE")
    if not base:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        base = os.path.join(home, "ksplit")
    return os.path.realpath(os.path.join(base, "vm"))


def kvm_usable():
    """KVM counts only with real virtualization: some hosts offer the device without it."""
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        flags = next((line.split() for line in cpuinfo if line.startswith("flags")), [])
    return ("vmx" in flags or "svm" in flags) and os.access("/dev/kvm", os.R_OK | os.W_OK)


def emulator(which):
    """The command line that starts qemu: the cached one ("new"), Debian 12's ("host"), or the
    first of them that is there ("auto")."""
    cached = os.path.join(cache_dir(), "qemu")
    program = os.path.join(cached, "usr/bin/qemu-system-x86_64")
    if which != "host" and os.access(program, os.X_OK):
        return [program, "-L", os.path.join(cached, "usr/share/qemu"),
                "-L", os.path.join(cached, "usr/share/seabios")]
    program = shutil.which("qemu-system-x86_64")
    if which == "new" or not program:
        return None
    return [program]


def is_newer(qemu):
    """Is this the cached emulator, not the installed one?"""
    return qemu[0].startswith(cache_dir())


def _die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _stale_remove():
    """Removes the folders of machines whose runner was killed: nobody holds their lock."""
    for folder in glob.glob(f"/tmp/{DIR_PREFIX}*"):
        try:
            with open(os.path.join(folder, "lock"), "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue


class Machine:
    """Start with start(), then run() until the guest's command ends; close() always."""

    def __init__(self, kernel_dir, interactive=False):
        self.kernel_dir = kernel_dir
        self.interactive = interactive
        _stale_remove()
        # A short path: the sockets in it have at most 107 bytes (unix(7)).
        self.dir = tempfile.mkdtemp(prefix=DIR_PREFIX, dir="/tmp")
        # Locked before it has the name that _stale_remove() looks for.
        self.lock = open(os.path.join(self.dir, "lock.new"), "wb")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        os.rename(self.lock.name, os.path.join(self.dir, "lock"))
        self.console = os.path.join(self.dir, "console.log")
        self.log = open(os.path.join(self.dir, "emulator.log"), "wb")
        self.children = []
        self.share_args = []
        self.ports = {}
        self.guest_ends = []
        self.qemu = None
        self.started = None
        self.ready_after = None
        self.failure = None

    def share_add(self, tag, folder, access, cache):
        """Exports folder to the guest under tag; access is "ro" or "rw"."""
        path = os.path.join(self.dir, tag + ".sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            fd = listener.fileno()
            self.children.append(subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private",
                 os.path.join(HERE, "share"), access, cache, str(fd), folder],
                stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, pass_fds=[fd],
                start_new_session=True, preexec_fn=_die_with_parent))
        self.share_args += ["-chardev", f"socket,id=fs-{tag},path={path}",
                            "-device", f"vhost-user-fs-pci,chardev=fs-{tag},tag={tag}"]

    def _kernel_image(self):
        unpacked = os.path.join(self.kernel_dir, "vmlinux")
        return unpacked if os.path.exists(unpacked) else os.path.join(self.kernel_dir, "vmlinuz")

    def _port_add(self, name, device):
        """A channel of the guest whose other end is self.ports[name]; returns its arguments."""
        ours, theirs = socket.socketpair()
        self.ports[name] = ours
        self.guest_ends.append(theirs)
        return ["-chardev", f"socket,id={name},fd={theirs.fileno()}",
                "-device", f"{device},chardev={name},name=ksplit.{name}"]

    def start(self, qemu, memory, arguments, initramfs, append):
        """Starts the emulator; initramfs is appended to the one of the kernel. The "output"
        port is a terminal (hvc0) for an interactive machine, else a plain stream."""
        image = os.path.join(self.dir, "initramfs")
        with open(image, "wb") as out:
            with open(os.path.join(self.kernel_dir, "initramfs.cpio"), "rb") as base:
                shutil.copyfileobj(base, out)
            out.write(initramfs)
        open(self.console, "wb").close()
        command = qemu + [
            "-M", "q35", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-object", f"memory-backend-memfd,id=mem,size={memory}M,share=on",
            "-machine", "memory-backend=mem", "-m", f"{memory}M", "-rtc", "base=utc",
            "-kernel", self._kernel_image(), "-initrd", image,
            "-append", append,
            "-chardev", f"file,id=console,path={self.console}", "-serial", "chardev:console",
            "-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
        ] + self.share_args + arguments
        # The first port of the bus belongs to a console, so the terminal goes first.
        command += self._port_add("output", "virtconsole" if self.interactive
                                  else "virtserialport")
        command += self._port_add("status", "virtserialport")
        self.qemu = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            start_new_session=True, pass_fds=[end.fileno() for end in self.guest_ends],
            preexec_fn=_die_with_parent)
        self.children.append(self.qemu)
        self.started = time.monotonic()
        for end in self.guest_ends:
            end.close()

    def run(self, timeout, boot_timeout):
        """Copies the guest's output until its command ends; returns the exit code."""
        status = b""
        open_ports = selectors.DefaultSelector()
        for name, port in self.ports.items():
            open_ports.register(port, selectors.EVENT_READ, name)
        if self.interactive:
            open_ports.register(0, selectors.EVENT_READ, "input")
        code = None
        while open_ports.get_map():
            limit = timeout if self.ready_after is not None else boot_timeout
            left = self.started + (self.ready_after or 0) + limit - time.monotonic()
            if left <= 0:
                return self._expired(limit)
            for key, _ in open_ports.select(left if code is None else 0.5):
                data = self._receive(key.fileobj)
                if key.data == "input" and data:
                    self.ports["output"].sendall(data)
                elif not data:
                    open_ports.unregister(key.fileobj)
                elif key.data == "output":
                    _write_all(1, data)
                else:
                    status += data
                    status, code = self._status_read(status, code)
            if code is not None and not self._output_waiting():
                return code
        self.failure = self.failure or "the machine stopped before the command ended"
        return EXIT_BOOT

    @staticmethod
    def _receive(port):
        try:
            return os.read(port if isinstance(port, int) else port.fileno(), 1 << 16)
        except ConnectionResetError:
            return b""

    def _output_waiting(self):
        """The guest writes its status after all output; what is left is in the socket."""
        poller = selectors.DefaultSelector()
        poller.register(self.ports["output"], selectors.EVENT_READ)
        return bool(poller.select(0))

    def _status_read(self, text, code):
        *lines, rest = text.split(b"\n")
        for line in lines:
            word, _, value = line.decode(errors="replace").partition(" ")
            if word == "ready":
                self.ready_after = time.monotonic() - self.started
            elif word == "exit":
                code = int(value)
            elif word == "fail":
                self.failure = "in the guest: " + value
        return rest, code

    def _expired(self, limit):
        if self.ready_after is None:
            self.failure = f"not up after {limit:g} s"
            return EXIT_BOOT
        self.failure = f"command not done after {limit:g} s"
        return EXIT_TIMEOUT

    def log_tail(self, lines=60):
        """What the emulator and the shares said, and the end of the kernel's console."""
        text = []
        for path in (self.log.name, self.console):
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as log:
                    text += log.readlines()[-lines:]
        return "".join(text)

    def close(self):
        """Ends what was started, and removes the machine's folder."""
        # The emulator first, and at once: it has no state to save, and shares end with it.
        if self.qemu:
            self.qemu.kill()
        for child in reversed(self.children):
            try:
                child.wait(2)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.log.close()
        self.lock.close()
        for port in self.ports.values():
            port.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def _write_all(fd, data):
    while data:
        try:
            data = data[os.write(fd, data):]
        except BlockingIOError:
            selector = selectors.DefaultSelector()
            selector.register(fd, selectors.EVENT_WRITE)
            selector.select()
        except BrokenPipeError:
            sys.exit(128 + signal.SIGPIPE)
