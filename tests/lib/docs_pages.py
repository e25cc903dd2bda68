# SPDX-License-Identifier: GPL-2.0-or-later
"""What each page of the documentation takes for granted, and which of its commands are not tried.

A new page needs nothing here as long as its commands work on a host where ksplitd is installed,
configured and runs (docs_scene.Scene.start). A command that cannot be tried goes into NOT_RUN.
"""

from dataclasses import dataclass, field

from .docs_scene import LIGHT
from .env import wait_for


def bare(scene):
    """A fresh host with the tree in the current folder, nothing made yet."""
    scene.host.run("rm -f ca.pem ca.key")


def running(scene):
    scene.start()


@dataclass
class Page:
    """`scene`: makes the scene as the page's reader has it. `fill`: words of the page and what to
    put in their place (values may be functions of the scene). `before`: by the first words of a
    command, what has to happen before it; `after`: what is waited for, since nobody types that
    fast. `codes`: its exit codes, where they are not 0, the same way.
    `elsewhere`: words that the page shows and other kernels print."""
    scene: callable = running
    fill: dict = field(default_factory=dict)
    before: dict = field(default_factory=dict)
    after: dict = field(default_factory=dict)
    codes: dict = field(default_factory=dict)
    elsewhere: frozenset = frozenset()

    def filled(self, scene, command):
        for word, value in self.fill.items():
            if word in command:
                command = command.replace(word, value(scene) if callable(value) else value)
        return command


def begins(table, command, otherwise=None):
    """The value of the longest key that the command begins with."""
    keys = [key for key in table if command.startswith(key)]
    return table[max(keys, key=len)] if keys else otherwise


# -- README.md, ca.md, operations.md --------------------------------------------------------------


def readme(scene):
    """A service of the reader's own, and the CA that its certificate is of."""
    bare(scene)
    scene.host.write("internal-ca.pem", (scene.world.folder / "ca.pem").read_text())


def behind_ksplitd(scene):
    """`app.example.com:8443` leads to ksplitd."""
    scene.host.run("sed 's/443\\]/8443]/' -i /etc/ksplit/ksplit.json && ksplitd")


def without_ca(scene):
    """Installed, with a configuration, and nothing more."""
    scene.configure(**LIGHT)
    scene.host.run("rm /etc/ksplit/ca.*")


def start_it(scene, _):
    """As systemctl does after that."""
    scene.host.run("ksplitd")


# -- configuration.md ------------------------------------------------------------------------------

MISTAKES = {
    '"relay": is': '{\n"workers": 1,\n"sampler": "off",\n"relay": "fast"}',
    '"limits.deadlines_ms.idel"': '{' + '\n' * 8 + '"limits": {"deadlines_ms": {"idel": 1}}}',
    '"workers": given twice': '{"workers": 1,\n"workers": 2}',
    '--workers': '{}',
}


def make_mistake(scene, command):
    """The file with that mistake which the page shows the answer to."""
    text = next(text for words, text in MISTAKES.items() if words in command.output)
    scene.host.write("ksplit.json", text)


# -- incoming.md, bpftool.md, gateway.md ---------------------------------------------------------


def answer_ocsp(scene, _):
    """A CA of the shop's certificate, which answers for it at an address of this host."""
    for name in ("ca.pem", "ca.key"):
        scene.host.write("/root/" + name, (scene.world.folder / name).read_text())
    scene.host.run("""
        openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \\
            -subj "/CN=issuer" -keyout issuer.key -out issuer.csr
        echo basicConstraints=CA:TRUE >issuer.ext
        openssl x509 -req -in issuer.csr -CA /root/ca.pem -CAkey /root/ca.key -CAcreateserial \\
            -days 9 -extfile issuer.ext -out issuer.pem
        openssl x509 -in shop.pem -CA issuer.pem -CAkey issuer.key -set_serial 7 -days 9 \\
            -out issued.pem
        mv issued.pem shop.pem
        printf 'V\\t351231235959Z\\t\\t07\\tunknown\\t/CN=shop.example\\n' >index.txt""")
    scene.serve("openssl ocsp -index index.txt -CA issuer.pem -rsigner issuer.pem "
                "-rkey issuer.key -port 9888 -ndays 3")


def with_open_call(scene):
    """Plain HTTP, which BPF programs sample on kernels with TLS and without."""
    scene.start(calls=3, settings={"capture": {"outgoing": {"ports": [80, 443]}}})
    scene.hold_call()


def bring_certificate(scene, _):
    scene.copy("/tmp/ksplit-ca.crt", "client")


def rules_gone(scene, _):
    """The keeper withdraws them within milliseconds (docs/capture-safety.md)."""
    wait_for(lambda: not scene.host.run("nft list tables").stdout, "the rules to be withdrawn")


def tapped(scene):
    """The configuration of the page."""
    scene.host.run("mkdir -p /var/log/ksplit/content")
    scene.start(settings=dict(LIGHT, taps={
        "keylog": "/var/log/ksplit/keys.log", "content": "/var/log/ksplit/content/%D/%i-%s",
        "pcapng": "/var/log/ksplit/plain.pcapng"}))


# -- man pages -------------------------------------------------------------------------------------


def add_user(scene, _):
    scene.host.run("id ksplit || useradd --system ksplit")


def add_nss(scene, _):
    scene.host.run("mkdir -p ~/.pki/nssdb && certutil -N --empty-password -d sql:$HOME/.pki/nssdb")


def with_ca(scene):
    bare(scene)
    scene.host.run("ksplit-ca init --dir .")


def start_instead(scene, _):
    """From here on the page is of the daemon, no longer of a try."""
    scene.host.run("pkill -TERM -x ksplitd; while pgrep -x ksplitd; do sleep 0.1; done")
    scene.start()


PAGES = {
    "README.md": Page(readme),
    "access-log.md": Page(),
    "bpftool.md": Page(
        with_open_call, fill={"280": lambda scene: scene.pid(), "27617": lambda scene: scene.pid()},
        # What the kernel of the session has and others have not: fexit, the names of its types.
        elsewhere=frozenset({"link_head_inet_sendmsg", "link_head_inet", "tracing", "sk_msg",
                             "head_inet_sendmsg", "head_inet", "_sendmsg", "trace_fexit",
                             "head_sk_msg", "tag", "prog_type"})),
    "ca.md": Page(without_ca, fill={"USER": "root"}, before={
        "curl": lambda scene, _: behind_ksplitd(scene), "ksplit-ca install --no-system": add_nss}),
    "capture.md": Page(fill={"FILE": "/etc/ksplit/ksplit.json"}),
    "configuration.md": Page(bare, before={"ksplitd -c ksplit.json": make_mistake},
                             codes={"ksplitd -c ksplit.json": {2}}),
    "contributing.md": Page(bare),
    "doctor.md": Page(fill={"./ksplit.json": "/etc/ksplit/ksplit.json"},
                      # A kernel without some feature is no fault of the page.
                      codes={"ksplit-doctor": {0, 1}}),
    "gateway.md": Page(
        bare, fill={"lan0": "veth1"},
        before={"cp /tmp/ksplit-ca.crt": bring_certificate}, after={"pkill -KILL": rules_gone},
        codes={"ksplit-doctor": {0, 1}, "python3": {1}}),
    "incoming.md": Page(
        bare, fill={"ADDRESS": "http://127.0.0.1:9888"}, before={"openssl ocsp": answer_ocsp}),
    "ksplit-ca.8": Page(bare, fill={"ssh app2 tee ": "tee ", "~/.pki": "/root/.pki"},
                        before={"ksplit-ca init": add_user,
                                "ksplit-ca install --no-system": add_nss}),
    "ksplit-doctor.8": Page(fill={"./ksplit.json": "/etc/ksplit/ksplit.json"},
                            codes={"ksplit-doctor": {0, 1}}),
    "ksplitd.8": Page(with_ca, before={"ksplitd -c": start_instead}),
    "operations.md": Page(without_ca, after={"ksplit-ca init": start_it}),
    "taps.md": Page(tapped),
    "quick-start.md": Page(bare, codes={"build/ksplit-doctor": {0, 1}}),
}

VM = "boots a virtual machine, which takes minutes: tests/run vm does it"
SUITE = "a part of the test suite itself, or all of it"
BENCH = "measures for ten minutes"
PACKAGES = "fetches packages from a mirror: .ci/run begins with it"

# Reason: page, command. As they stand on the page, without comment.
NOT_RUN = {
    PACKAGES: [
        ("quick-start.md", "apt-get install git make curl"),
    ],
    "a module of the host's kernel, whichever that is": [
        ("quick-start.md", "modprobe tls"),
    ],
    "takes minutes, and an emulator where the kernel has no TLS": [
        ("README.md", "make demo"),
    ],
    SUITE: [
        ("README.md", "make test"),
        ("contributing.md", "make CC=clang BUILD=build/clang"),
        ("contributing.md", "make test"),
        ("contributing.md", "make unit"),
        ("contributing.md", "tests/run system -- -k kernel_notes"),
        ("testing.md", "tests/run unit"),
        ("testing.md", "tests/run system -- -k key_update -x"),
    ],
    VM: [
        ("contributing.md", "tests/vm/run 6.12 -- python3 -B -m pytest -p no:cacheprovider -q "
                            "tests/system -k kernel_notes"),
        ("test-vm.md", "tests/vm/run 6.12 -- uname -r"),
        ("test-vm.md", "make vm-shell KERNEL=6.12"),
        ("test-vm.md", "tests/run vm 6.12"),
        ("test-vm.md", "tests/vm/selftest"),
        ("test-vm.md", "tests/vm/run 6.12 -- python3 -B -m pytest -p no:cacheprovider -q "
                       "tests/system -k SUBJECT"),
        ("test-vm.md", 'tests/vm/run 6.12 --root "$(tests/openssl35/root)" -- '
                       "build/openssl35/ksplitd --version"),
        ("testing.md", "tests/vm/run 6.12 -- tests/run system"),
    ],
    "makes a Debian 13 root: tests/run openssl35 does it": [
        ("test-vm.md", "tests/openssl35/run -- make BUILD=build/openssl35"),
        ("test-vm.md", "tests/openssl35/selftest"),
    ],
    BENCH: [
        ("benchmarks.md", "tests/bench/bench --only observing"),
        ("observation.md", "tests/bench/bench --only observing"),
        ("benchmarks.md", "python3 -Bc 'import sys; sys.path.insert(0, \"tests/bench\"); "
                          "import pki; pki.Pki(\"FOLDER/pki\")'"),
        ("benchmarks.md", "make -s -f tests/bench/bench.mk"),
        ("benchmarks.md", "tests/vm/run 6.12 --timeout 900 --icount --smp 1 "
                          "--cpu max,-erms,-fsrm -- \\\n"
                          "    tests/bench/guest sampling FOLDER off fentry user"),
    ],
    "of the package, which test_package.py installs, and test_systemd.py under a real systemd": [
        ("operations.md", "apt install ./build/ksplit_0.1.0_amd64.deb"),
        ("operations.md", "systemctl enable --now ksplit"),
    ],
}


def not_run():
    """{(page, command): reason}"""
    return {entry: reason for reason, entries in NOT_RUN.items() for entry in entries}

