#!/usr/bin/env python3
"""The kernel's end of a TCP connection, as a test wants it.

The one argument is a JSON list of steps, done one after the other on one connection; each step that has something to say
prints one JSON line. An error of the kernel's is a line too, {"event": "error", "do": ..., "errno": "ECONNREFUSED"},
and ends the list. What is sent is the stream that `Pattern` makes; both ends tell the SHA-256 of what went by.
"""
import ctypes
import errno
import hashlib
import json
import os
import select
import socket
import struct
import sys
import threading
import time

CHUNK_BYTES = 256 * 1024
POOL_BYTES = 1024 * 1024
# A stride prime to the pool's size: no two blocks of a long stream are at the same place of the pool.
STRIDE = 65_537

TCP_INFO_FIELDS = ("state", "ca_state", "retransmits", "probes", "backoff", "options")


def say(event, **fields):
    # One call, since two threads may speak at once.
    os.write(1, (json.dumps({"event": event, **fields}) + "\n").encode())


class Pattern:
    """A stream of bytes in which every place differs."""

    def __init__(self):
        self.pool = os.urandom(POOL_BYTES + CHUNK_BYTES)
        self.at = 0

    def next(self, size):
        self.at = (self.at + STRIDE) % POOL_BYTES
        return memoryview(self.pool)[self.at : self.at + size]


class Peer:
    def __init__(self):
        self.listener = None
        self.socket = None
        self.options = []
        self.number = 0

    def make(self, address):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM, self.number)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for level, name, value in self.options:
            made.setsockopt(level, name, value)
        return made

    # Steps. Each takes the fields of its JSON object.

    def option(self, name, value, level="tcp", now=False):
        """Sets an option: of the socket in hand if `now`, else of those that are made later."""
        level = {"tcp": socket.IPPROTO_TCP, "socket": socket.SOL_SOCKET, "ip": socket.IPPROTO_IP}[level]
        entry = (level, name if isinstance(name, int) else getattr(socket, name), value)
        if now:
            self.socket.setsockopt(*entry)
        else:
            self.options.append(entry)

    def protocol(self, number):
        """Of the sockets that are made later, where it is not plain TCP."""
        self.number = number

    def linger(self, seconds):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, seconds))

    def listen(self, address, port, backlog=16):
        self.listener = self.make(address)
        self.listener.bind((address, port))
        self.listener.listen(backlog)
        say("listening", port=self.listener.getsockname()[1])

    def accept(self):
        self.socket, peer = self.listener.accept()
        say("accepted", address=peer[0], port=peer[1])

    def bind(self, address, port=0):
        self.socket = self.make(address)
        self.socket.bind((address, port))

    def connect(self, address, port, timeoutMs=20_000):
        self.socket = self.socket or self.make(address)
        self.socket.settimeout(timeoutMs / 1000)
        self.socket.connect((address, port))
        self.socket.settimeout(None)
        say("connected", port=self.socket.getsockname()[1])

    def send(self, bytes=None, text=None, chunk=CHUNK_BYTES, delayMs=0):
        if text is not None:
            self.socket.sendall(text.encode())
            return
        sha, pattern, left = hashlib.sha256(), Pattern(), bytes
        try:
            while left > 0:
                data = pattern.next(min(chunk, left))
                self.socket.sendall(data)
                sha.update(data)
                left -= len(data)
                if delayMs:
                    time.sleep(delayMs / 1000)
        finally:
            say("sent", bytes=bytes - left, sha256=sha.hexdigest())

    def receive(self, bytes=None, chunk=CHUNK_BYTES, delayMs=0):
        """Until so many bytes are here, or to the end."""
        sha, got, ended, failed, text = hashlib.sha256(), 0, False, None, b""
        try:
            while bytes is None or got < bytes:
                data = self.socket.recv(chunk if bytes is None else min(chunk, bytes - got))
                if not data:
                    ended = True
                    break
                sha.update(data)
                got += len(data)
                if len(text) < 256:
                    text += data[:256]
                if delayMs:
                    time.sleep(delayMs / 1000)
        except OSError as error:
            failed = errno.errorcode.get(error.errno, str(error))
        fields = {} if failed is None else {"errno": failed}
        say("received", bytes=got, sha256=sha.hexdigest(), ended=ended, text=text.decode("latin1")[:256], **fields)

    def exchange(self, bytes, chunk=CHUNK_BYTES):
        """Sends and receives at once, each to its end."""

        def pour():
            try:
                self.send(bytes, chunk=chunk)
                self.socket.shutdown(socket.SHUT_WR)
            except OSError as error:
                say("error", do="exchange", errno=errno.errorcode.get(error.errno, str(error)))

        sender = threading.Thread(target=pour)
        sender.start()
        self.receive()
        sender.join()

    def echo(self):
        """Returns what comes until the end of it."""
        got = 0
        while data := self.socket.recv(CHUNK_BYTES):
            got += len(data)
            self.socket.sendall(data)
        say("echoed", bytes=got)

    def urgent(self, text):
        """Bytes of which the last is urgent."""
        self.socket.send(text.encode(), socket.MSG_OOB)

    def receiveUrgent(self, timeoutMs=5_000):
        """Waits for the announcement of urgent data and takes the byte."""
        poll = select.poll()
        poll.register(self.socket, select.POLLPRI)
        if not poll.poll(timeoutMs):
            return say("urgent", text=None)
        say("urgent", text=self.socket.recv(1, socket.MSG_OOB).decode("latin1"))

    def shutdown(self):
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()
        say("closed")

    def reset(self):
        """Closes by RST."""
        self.linger(0)
        self.socket.close()
        say("closed")

    def failure(self, timeoutMs=10_000):
        """Waits until the connection failed, and tells how."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        poll.poll(timeoutMs)
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        say("failure", errno=errno.errorcode.get(error, "none"))

    def sleep(self, ms):
        time.sleep(ms / 1000)

    def wait(self):
        """Until the test says so, by a line on standard input."""
        sys.stdin.readline()

    def info(self):
        raw = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        small = dict(zip(TCP_INFO_FIELDS, raw[:6]))
        words = struct.unpack_from("=24I", raw, 8)
        names = ("rto ato snd_mss rcv_mss unacked sacked lost retrans fackets last_data_sent last_ack_sent last_data_recv "
                 "last_ack_recv pmtu rcv_ssthresh rtt rttvar snd_ssthresh snd_cwnd advmss reordering rcv_rtt rcv_space "
                 "total_retrans").split()
        say("info", snd_wscale=raw[6] & 15, rcv_wscale=raw[6] >> 4, **small, **dict(zip(names, words)))

    def name(self):
        say("name", local=self.socket.getsockname()[:2], remote=self.socket.getpeername()[:2])


def main():
    # The test may be killed: then this end goes, too (PR_SET_PDEATHSIG).
    ctypes.CDLL(None).prctl(1, 9)
    peer = Peer()
    for step in json.loads(sys.argv[1]):
        fields = dict(step)
        do = fields.pop("do")
        try:
            getattr(peer, do)(**fields)
        except OSError as error:
            name = errno.errorcode.get(error.errno, "ETIMEDOUT" if isinstance(error, TimeoutError) else str(error))
            say("error", do=do, errno=name)
            return
    say("done")


main()
