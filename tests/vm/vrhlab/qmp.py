# SPDX-License-Identifier: GPL-2.0-only
"""A QMP client: commands and events of one QEMU."""

import json
import queue
import threading
import time


class QMPError(Exception):
    """QEMU refused a command; the message is its own."""


class QMP:
    """QEMU's monitor on a connected socket."""

    def __init__(self, connection):
        self._socket = connection
        self._lock = threading.Lock()
        self._answers = queue.Queue()
        self._changed = threading.Condition()
        self._closed = False
        self.events = []    #: every event so far, oldest first
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self._answers.get(timeout=30)   # the greeting
        except queue.Empty:
            raise QMPError("no greeting within 30 s")
        self("qmp_capabilities")

    def _read(self):
        try:
            for line in self._socket.makefile("r"):
                message = json.loads(line)
                if "event" in message:
                    with self._changed:
                        self.events.append(message)
                        self._changed.notify_all()
                else:
                    self._answers.put(message)
        except (OSError, ValueError):
            pass
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._answers.put({"error": {"desc": "QEMU closed the connection"}})

    def __call__(self, command, timeout=30, **arguments):
        """Runs COMMAND and returns its answer; names with - are written with _."""
        arguments = {key.replace("_", "-") if key != "qom_type" else key: value
                     for key, value in arguments.items()}
        return self.execute(command, arguments, timeout)

    def execute(self, command, arguments, timeout=30):
        """Runs COMMAND with a dictionary of arguments, names as they are."""
        request = {"execute": command, **({"arguments": arguments} if arguments else {})}
        with self._lock:
            try:
                self._socket.sendall(json.dumps(request).encode() + b"\n")
                answer = self._answers.get(timeout=timeout)
            except OSError as error:
                raise QMPError(f"{command}: {error}")
            except queue.Empty:
                raise QMPError(f"{command}: no answer within {timeout} s")
        if "error" in answer:
            raise QMPError(f"{command}: {answer['error']['desc']}")
        return answer["return"]

    def wait_event(self, name, timeout=30, since=0, match=None):
        """The first event NAME after the first SINCE events that MATCH(data) accepts."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for event in self.events[since:]:
                    if event["event"] == name and (not match or match(event.get("data", {}))):
                        return event
                left = deadline - time.monotonic()
                if left <= 0 or self._closed:
                    raise QMPError(f"no event {name} within {timeout} s")
                self._changed.wait(left)

    def close(self):
        """Ends the connection."""
        self._socket.close()
