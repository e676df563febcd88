#!/usr/bin/python3
"""A stand-in for Anaconda: does in Anaconda's order what Anaconda does on the wire, in a virtual machine, as its first process.

Real are the parser (pykickstart, which is Anaconda's own), the scripts of the kickstart file, dnf and rpm, the partitions and the file
systems. Not real is everything in between: this file takes the place of pyanaconda, its user interface and its boot loader. No line is
Anaconda's. In the end it takes the place of the installed system's first boot too, and runs the unit that calls home.
"""
import configparser
import os
import re
import socket
import subprocess
import tempfile
import time
import traceback
import urllib.request

from pykickstart.constants import KS_SCRIPT_ONERROR, KS_SCRIPT_POST, KS_SCRIPT_PRE
from pykickstart.parser import KickstartParser
from pykickstart.version import makeVersion

ROOT = "/mnt/sysroot"
KICKSTART = "/run/install/ks.cfg"
TYPES = {"biosboot": "21686148-6449-6E6F-744E-656564454649", "swap": "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F", "efi": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"}


class Log:
    """/tmp/anaconda.log, the console, and the head's syslog: rsyslog's `*.* @@HOST:PORT`, which is TCP with a line a message."""

    def __init__(self, remote):
        self.file = open("/tmp/anaconda.log", "a")
        host, port = remote.split(":")
        self.remote = socket.create_connection((host, int(port)), timeout=20)

    def __call__(self, text, level="INF"):
        self.file.write(f"{time.strftime('%H:%M:%S')},000 {level} standin: {text}\n")
        self.file.flush()
        print(f"stand-in: {text}", flush=True)
        self.remote.sendall(f"<14>{time.strftime('%b %d %H:%M:%S')} localhost anaconda: {text}\n".encode())


def run(*command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)
    with open("/tmp/program.log", "a") as log:
        log.write(f"Running... {' '.join(command)}\n{done.stdout}\n")
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stdout.strip().splitlines()[-1:]}")
    return done.stdout


def run_script(script, log):
    """As AnacondaKSScript does: a file of its own, its interpreter, its log; in the new system unless it says --nochroot."""
    base = ROOT if script.inChroot else ""
    handle, path = tempfile.mkstemp("", "ks-script-", f"{base}/tmp")
    os.write(handle, script.script.encode())
    os.close(handle)
    os.chmod(path, 0o700)
    command = [script.interp, path.removeprefix(base)]
    with open(script.logfile or f"/tmp/{os.path.basename(path)}.log", "w") as out:
        command = ["chroot", ROOT, *command] if script.inChroot else command
        ended = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False).returncode
    log(f"the script of line {script.lineno} ended with {ended}")
    if ended != 0 and script.errorOnFail:
        raise RuntimeError(f"the script of line {script.lineno} failed")


def run_scripts(handler, kind, log):
    for script in handler.scripts:
        if script.type == kind:
            run_script(script, log)


def parse(fatal):
    """First without its includes, for %pre, as Anaconda's preScriptPass does; then for good."""
    handler = makeVersion("RHEL9")
    KickstartParser(handler, missingIncludeIsFatal=fatal, errorsAreFatal=fatal).readKickstart(KICKSTART)
    return handler


def partition(handler, log):
    """The partitions of the one disk that may be used, mounted below ROOT; returns the lines of its fstab."""
    allowed = handler.ignoredisk.onlyuse
    parts = handler.partition.partitions
    if len(allowed) != 1 or not handler.clearpart.initAll or any(part.disk != allowed[0] for part in parts):
        raise RuntimeError(f"the kickstart file names not exactly one disk: {allowed}")
    disk = f"/dev/{allowed[0]}"
    order = sorted(parts, key=lambda part: part.grow)
    table = [f"label: {'gpt' if handler.clearpart.disklabel == 'gpt' else 'dos'}"]
    for part in order:
        kind = TYPES.get(part.fstype, "linux")
        table.append(", ".join(([] if part.grow else [f"size={part.size}MiB"]) + [f"type={kind}"]))
    run("sfdisk", "--wipe", "always", disk, input="\n".join(table) + "\n")
    time.sleep(1)
    lines = []
    mounted = []
    for number, part in enumerate(order, 1):
        device = f"{disk}{number}"
        log(f"{device}: {part.mountpoint}, {part.fstype}, {part.size} MiB")
        if part.fstype == "swap":
            run("mkswap", device)
        elif part.fstype == "efi":
            run("mkfs.vfat", device)
        elif part.fstype != "biosboot":
            run(f"mkfs.{part.fstype}", "-q", "-F", device)
        if part.fstype != "biosboot":
            mount = "none" if part.fstype == "swap" else part.mountpoint
            identity = run("blkid", "-o", "value", "-s", "UUID", device).strip()
            lines.append(f"UUID={identity}\t{mount}\t{'vfat' if part.fstype == 'efi' else part.fstype}\tdefaults\t0\t0\n")
        if part.mountpoint.startswith("/"):
            mounted.append((part.mountpoint, device))
    for mountpoint, device in sorted(mounted):
        os.makedirs(ROOT + mountpoint, exist_ok=True)
        run("mount", device, ROOT + mountpoint)
    return lines


def sources(handler, tree, log):
    """The tree's own repositories and those of the kickstart file, as dnf's definitions."""
    request = urllib.request.Request(f"{tree}/.treeinfo", headers={"User-Agent": "Rocky Linux (anaconda)/9 stand-in"})
    info = configparser.ConfigParser()
    info.read_string(urllib.request.urlopen(request, timeout=30).read().decode())
    log(f"the tree is {info['general']['family']} {info['general']['version']}")
    named = {"anaconda": handler.url.url} | {repo.name: repo.baseurl for repo in handler.repo.repoList}
    os.makedirs("/tmp/repos")
    with open("/tmp/repos/anaconda.repo", "w") as file:
        for name, url in named.items():
            file.write(f"[{name}]\nname={name}\nbaseurl={url}\nenabled=1\ngpgcheck=0\n\n")


def install(handler, log):
    packages = handler.packages
    wanted = ["@core", "kernel", "dracut", "grub2-pc"]
    wanted += [f"@{group.name}" for group in packages.groupList] + packages.packageList
    log(f"installing {' '.join(wanted)}")
    for folder in ("dev", "proc", "sys"):
        os.makedirs(f"{ROOT}/{folder}", exist_ok=True)
        run("mount", "--bind", f"/{folder}", f"{ROOT}/{folder}")
    options = ["--setopt=reposdir=/tmp/repos", f"--setopt=install_weak_deps={int(not packages.excludeWeakdeps)}", "--setopt=keepcache=0"]
    excluded = [f"--exclude={name}" for name in packages.excludedList]
    run("dnf", "-y", f"--installroot={ROOT}", "--releasever=9", "--disableplugin=*", *options, *excluded, "install", *wanted)


def configure(handler, fstab):
    with open(f"{ROOT}/etc/fstab", "w") as file:
        file.writelines(fstab)
    with open(f"{ROOT}/etc/hostname", "w") as file:
        file.write(f"{handler.network.network[0].hostname}\n")
    zone = f"{ROOT}/etc/localtime"
    if not os.path.lexists(zone):
        os.symlink(f"../usr/share/zoneinfo/{handler.timezone.timezone}", zone)
    run("chroot", ROOT, "sh", "-c", "grep -q '^root:!' /etc/shadow || usermod -L root")


def installation(arguments, log):
    log("running %pre")
    run_scripts(parse(False), KS_SCRIPT_PRE, log)
    handler = parse(True)
    fstab = partition(handler, log)
    sources(handler, arguments["inst.repo"], log)
    install(handler, log)
    configure(handler, fstab)
    log("running %post")
    run_scripts(handler, KS_SCRIPT_POST, log)


def main():
    os.environ |= {"PATH": "/usr/sbin:/usr/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", "ANA_INSTALL_PATH": ROOT}
    os.makedirs(ROOT)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/tmp"], check=True)
    arguments = dict(re.findall(r"(\S+?)=(\S+)", open("/proc/cmdline").read()))
    log = Log(arguments["inst.syslog"])
    try:
        installation(arguments, log)
        log("the installation is complete")
        home = subprocess.run(["chroot", ROOT, "/bin/bash", "/usr/local/lib/kickctl/firstboot"], check=False, timeout=1800)
        log(f"the installed system's call home ended with {home.returncode}")
    except Exception as error:  # whatever it is: Anaconda runs %onerror for a traceback too
        log(f"{type(error).__name__}: {error}", "ERR")
        run_scripts(parse(False), KS_SCRIPT_ONERROR, log)
        log("%onerror has run")


try:
    main()
except BaseException:  # the machine is off before Python would tell
    traceback.print_exc()
finally:
    subprocess.run(["umount", "-R", ROOT], check=False)
    subprocess.run(["/usr/bin/busybox", "poweroff", "-f"], check=False)
