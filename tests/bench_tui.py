#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the screen costs: bench_tui.py MEMWHERE TUI_REPLAY PAIRS

The first picture after the start; answers to keys while a process allocates as fast as it can; CPU
time at 2 Hz with 10,000 sites, and the bytes that a picture sends.
"""
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time


class Screen:
    def __init__(self, *command):
        self.begin = time.monotonic()
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.environ.update(TERM="xterm-256color", LC_ALL="C.UTF-8")
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
            os.execv(command[0], command)

    def read(self, seconds):
        """What comes within SECONDS, up to the first pause of 30 ms."""
        text = b""
        while select.select([self.fd], [], [], 0.03 if text else seconds)[0]:
            text += os.read(self.fd, 65536)
        return text

    def drain(self, seconds):
        """All bytes of SECONDS."""
        end, text = time.monotonic() + seconds, b""
        while time.monotonic() < end:
            if select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                text += os.read(self.fd, 65536)
        return text

    def wait_for(self, what, seconds=20):
        text, end = b"", time.monotonic() + seconds
        while what not in text:
            if time.monotonic() > end or not select.select([self.fd], [], [], 1)[0]:
                continue
            text += os.read(self.fd, 65536)
        return time.monotonic() - self.begin

    def answer(self, key):
        """Seconds until something is drawn after KEY."""
        begin = time.monotonic()
        os.write(self.fd, key)
        select.select([self.fd], [], [], 5)
        took = time.monotonic() - begin
        self.read(0)
        return took

    def cpu(self):
        fields = open("/proc/%d/stat" % self.pid).read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def quit(self):
        os.write(self.fd, b"q")
        try:
            while os.read(self.fd, 65536):
                pass
        except OSError:
            pass
        os.waitpid(self.pid, 0)


def main():
    memwhere, replay, pairs = sys.argv[1:]
    busy = subprocess.Popen([pairs, "64"])
    try:
        time.sleep(0.3)
        screen = Screen(memwhere, "live", "-i", "10", "--mode", "exact", str(busy.pid))
        print("first picture after %.0f ms" % (1e3 * screen.wait_for(b"attaching")))
        print("first counts after %.0f ms" % (1e3 * screen.wait_for(b"lost")))
        screen.drain(4)  # looks into the memory are drawn, too
        times = []
        for i in range(40):
            times.append(screen.answer(b"21"[i % 2:i % 2 + 1]))
            time.sleep(0.15)
        times.sort()
        print("a key is answered within %.0f ms (median), %.0f ms (95 %%), %.0f ms (all)" %
              (1e3 * times[20], 1e3 * times[37], 1e3 * times[-1]))
        screen.quit()
    finally:
        busy.kill()
        busy.wait()
    screen = Screen(replay, "many", "0.5")
    screen.wait_for(b"lost")
    os.write(screen.fd, b"3")
    screen.drain(1)
    before, begin = screen.cpu(), time.monotonic()
    sent = len(screen.drain(10))
    print("10,000 recorded sites at 2 Hz: %.1f %% of a CPU, %.1f KiB a picture" %
          (100 * (screen.cpu() - before) / (time.monotonic() - begin), sent / 20 / 1024))
    screen.quit()
    busy = subprocess.Popen(["python3", os.path.join(os.path.dirname(__file__), "workloads", "many_sites.py")],
                            stdout=subprocess.PIPE)
    try:
        busy.stdout.readline()
        screen = Screen(memwhere, "live", "-i", "0.5", "--mode", "exact", "--sites", "all", str(busy.pid))
        screen.wait_for(b"lost")
        os.write(screen.fd, b"3")
        screen.drain(5)
        before, begin = screen.cpu(), time.monotonic()
        screen.drain(20)
        print("10,000 sites of a process at 2 Hz, their counters read: %.1f %% of a CPU" %
              (100 * (screen.cpu() - before) / (time.monotonic() - begin)))
        screen.quit()
    finally:
        busy.kill()
        busy.wait()


main()
