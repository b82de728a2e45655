# SPDX-License-Identifier: GPL-2.0-only
"""Runs in a guest: takes requests as JSON lines from a serial line, runs commands, answers.

Requests:  {"id": 1, "run": "shell" | ["argv", ...], "timeout": s, "env": {}, "cwd": "/"}
           {"id": 2, "kill": 1}      ends a running command
           {"id": 3, "exit": true}   ends the agent, and so the guest
Answers:   {"id": 1, "status": 0, "stdout": "", "stderr": "", "seconds": 0.1, "timeout": false}
A long request or stream goes through a file on /share; the line then names the file.
"""

import json
import os
import select
import signal
import subprocess
import sys
import termios
import threading
import time
import tty

INLINE = 16384  # a serial line is slow: longer streams go through /share

port_lock = threading.Lock()
running = {}


def answer(port, message):
    data = (json.dumps(message) + "\n").encode()
    with port_lock:
        while data:
            data = data[os.write(port, data):]


def stream(ident, name, data):
    """A stream for an answer: itself, or the file on /share it was put in."""
    if len(data) <= INLINE:
        return {name: data.decode(errors="replace")}
    path = f"/share/.agent-{ident}-{name}"
    with open(path, "wb") as out:
        out.write(data)
    return {f"{name}_file": os.path.basename(path)}


def end(process, number):
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def ends(process, timeout):
    """True if a process ends within TIMEOUT seconds (None: waits for ever); no polling."""
    handle = os.pidfd_open(process.pid)
    try:
        return bool(select.select([handle], [], [], timeout)[0])
    finally:
        os.close(handle)


def run(port, request):
    """Runs one command to its end or its timeout; then its process group is killed."""
    ident, command = request["id"], request["run"]
    reply = {"id": ident, "timeout": False}
    begun = time.monotonic()
    try:
        process = subprocess.Popen(
            command, shell=isinstance(command, str), executable="/bin/bash"
            if isinstance(command, str) else None, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            cwd=request.get("cwd") or "/", env={**os.environ, **(request.get("env") or {})})
    except OSError as error:
        answer(port, {**reply, "status": 127, "stdout": "", "stderr": f"{error}\n", "seconds": 0})
        return
    running[ident] = process
    collected = {"stdout": bytearray(), "stderr": bytearray()}

    def collect(name):
        source = getattr(process, name).fileno()
        while chunk := os.read(source, 65536):
            collected[name] += chunk
    readers = [threading.Thread(target=collect, args=(name,), daemon=True) for name in collected]
    for reader in readers:
        reader.start()
    # What it leaves in the background may hold the pipes; that is waited for a second only.
    patience = 1
    if not ends(process, request.get("timeout")):
        reply["timeout"] = True
        patience = 2
        end(process, signal.SIGTERM)
        if not ends(process, 1):
            end(process, signal.SIGKILL)
    deadline = time.monotonic() + patience
    for reader in readers:
        reader.join(max(0.0, deadline - time.monotonic()))
    # None: it cannot be killed, the kernel holds it.
    status = process.wait() if ends(process, max(0.0, deadline - time.monotonic())) else None
    running.pop(ident, None)
    reply.update(status=status, seconds=round(time.monotonic() - begun, 4))
    for name, data in collected.items():
        reply.update(stream(ident, name, bytes(data)))
    answer(port, reply)


def main():
    port = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
    tty.setraw(port, termios.TCSANOW)
    answer(port, {"hello": os.uname().release, "uptime": time.monotonic()})
    with open(port, "rb", closefd=False) as lines:
        for line in lines:
            try:
                request = json.loads(line)
                if "file" in request:
                    with open("/share/" + request["file"]) as source:
                        request = json.load(source)
            except (ValueError, OSError) as error:
                answer(port, {"error": f"bad request: {error}"})
                continue
            if "exit" in request:
                answer(port, {"id": request["id"], "status": 0})
                return
            if "kill" in request:
                process = running.get(request["kill"])
                if process:
                    end(process, request.get("signal", signal.SIGKILL))
                answer(port, {"id": request["id"], "status": 0})
                continue
            threading.Thread(target=run, args=(port, request), daemon=True).start()


main()
