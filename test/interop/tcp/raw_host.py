"""A host that exists only in packets: it shares the kernel's link under an address of its own, and TCP is what a test makes of it."""
import queue
import socket
import struct
import threading

from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw
from scapy.utils import checksum

ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 3, 0x0800, 0x86DD
MODULUS = 1 << 32
# Long enough for the stack, on a busy machine; a silence has to last only for the shorter time.
PATIENCE_S = 2.0
SILENCE_S = 0.15

HOST4, HOST6 = "10.77.1.9", "fd77:1::9"
STACK4, STACK6 = "10.77.1.2", "fd77:1::2"


def has(packet, flag):
    return packet is not None and flag in str(packet[TCP].flags)


class Failed(Exception):
    """What a case found wrong."""


def pseudo_sum(packet, payload):
    """Of the TCP checksum: 0 if it is right."""
    if packet.version == 4:
        head = socket.inet_aton(packet.src) + socket.inet_aton(packet.dst) + struct.pack("!HH", 6, len(payload))
    else:
        addresses = [socket.inet_pton(socket.AF_INET6, each) for each in (packet.src, packet.dst)]
        head = b"".join(addresses) + struct.pack("!II", len(payload), 6)
    return checksum(head + payload)


class Wire:
    """Sends packets on a device and hands those for this host's ports to whoever waits for them."""

    def __init__(self, device, mac=None, check=True):
        self.device, self.mac, self.check = device, mac, check
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.socket.bind((device, ETH_P_ALL))
        self.queues = {}
        self.others = queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()

    def send(self, packet):
        raw = bytes(packet)
        protocol = ETH_P_IP if raw[0] >> 4 == 4 else ETH_P_IPV6
        mac = bytes.fromhex(self.mac.replace(":", "")) if self.mac else b""
        self.socket.sendto(raw, (self.device, protocol, 0, 0, mac))

    def wait_for(self, port):
        self.queues[port] = queue.Queue()
        return self.queues[port]

    def listen(self):
        while True:
            raw, (_, protocol, kind, *_) = self.socket.recvfrom(70_000)
            if kind == socket.PACKET_OUTGOING or protocol not in (ETH_P_IP, ETH_P_IPV6):
                continue
            packet = IP(raw) if protocol == ETH_P_IP else IPv6(raw)
            if packet.dst not in (HOST4, HOST6):
                continue
            if TCP not in packet:
                self.others.put(packet)
                continue
            wrong = self.wrong(packet, raw)
            if wrong:
                packet = Failed(f"{wrong} in {packet.summary()}")
                port = struct.unpack_from("!H", raw, 22 if raw[0] >> 4 == 4 else 42)[0]
            else:
                port = packet[TCP].dport
            waiting = self.queues.get(port)
            (waiting if waiting is not None else self.others).put(packet)

    def wrong(self, packet, raw):
        """What every packet of a stack must have right."""
        v4 = raw[0] >> 4 == 4
        at = (raw[0] & 15) * 4 if v4 else 40
        if len(raw) != (packet.len if v4 else packet.plen + 40):
            return "the length of the IP packet"
        if v4 and checksum(raw[:at]) != 0:
            return "the checksum of the IP header"
        if self.check and pseudo_sum(packet, raw[at:]) != 0:
            return "the TCP checksum"
        if packet[TCP].reserved != 0:
            return "the reserved bits"
        return None


class Host:
    """One end of one connection; sequence numbers are this host's own, absolute."""

    ports = iter(range(20_000, 60_000))
    lock = threading.Lock()

    def __init__(self, wire, port, v6=False, source=None):
        self.wire, self.port = wire, port
        with Host.lock:
            self.own = next(Host.ports) if source is None else source
        self.addresses = (HOST6, STACK6) if v6 else (HOST4, STACK4)
        self.v6 = v6
        self.next = 0xFFFFFF00 + self.own & 0xFFFFFFFF  # wraps soon
        self.got = 0
        self.stream = b""
        self.window = 65_535
        self.timestamp = None
        self.echo = 0
        self.queue = wire.wait_for(self.own)

    # Sending

    def packet(self, flags, data=b"", seq=None, ack=None, options=(), ip=None, **fields):
        source, destination = self.addresses
        head = IPv6(src=source, dst=destination) if self.v6 else IP(src=source, dst=destination, flags="DF")
        for name, value in (ip or {}).items():
            setattr(head, name, value)
        options = list(options)
        if self.timestamp is not None and not any(option[0] == "Timestamp" for option in options):
            options += [("NOP", None), ("NOP", None), ("Timestamp", (self.timestamp, self.echo))]
        if ack is None:
            ack = self.got if "A" in flags else 0
        return head / TCP(
            sport=self.own,
            dport=self.port,
            flags=flags,
            seq=(self.next if seq is None else seq) % MODULUS,
            ack=ack % MODULUS,
            window=fields.pop("window", self.window),
            options=options,
            **fields,
        ) / Raw(data)

    def send(self, flags, data=b"", **fields):
        """Sends a segment, at the next sequence number unless one is given."""
        self.wire.send(self.packet(flags, data, **fields))

    def many(self, flags, data, numbers):
        """Sends the same segment at many sequence numbers, quicker than scapy makes them."""
        packet = self.packet(flags, data)
        raw = bytearray(bytes(packet))
        at = 40 if self.v6 else 20
        for number in numbers:
            struct.pack_into("!I", raw, at + 4, number % MODULUS)
            raw[at + 16 : at + 18] = b"\0\0"
            raw[at + 16 : at + 18] = pseudo_sum(packet, bytes(raw[at:])).to_bytes(2, "big")
            self.wire.send(raw)

    def say(self, data, flags="PA", **fields):
        """Sends data in order."""
        self.send(flags, data, **fields)
        self.next = (self.next + len(data)) % MODULUS

    def ack(self, **fields):
        self.send("A", **fields)

    # Receiving

    def receive(self, timeout=PATIENCE_S):
        """The next segment, or None."""
        try:
            packet = self.queue.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(packet, Failed):
            raise packet
        return packet

    def expect(self, flags, what="", **fields):
        """The next segment must have just these flags (PSH does not count), and these fields."""
        packet = self.receive()
        if packet is None:
            raise Failed(f"nothing came, where {flags} {what} should")
        self.check(packet, flags, what, **fields)
        return packet

    def check(self, packet, flags, what="", **fields):
        segment = packet[TCP]
        seen = set(str(segment.flags)) - {"P"}
        if seen != set(flags):
            raise Failed(f"{what} {segment.flags} came, where {flags} should: {packet.summary()}")
        for name, value in fields.items():
            if getattr(segment, name) != value % MODULUS:
                raise Failed(f"{what} {name} is {getattr(segment, name)}, and should be {value % MODULUS}")

    def until(self, right, what, timeout=PATIENCE_S):
        """Waits for a segment that is right, whatever comes before it."""
        while (packet := self.receive(timeout)) is not None:
            if right(packet[TCP]):
                return packet
        raise Failed(f"{what} did not come")

    def silence(self, seconds=SILENCE_S, what=""):
        packet = self.receive(seconds)
        if packet is not None:
            raise Failed(f"{what} {packet.summary()} came, where nothing should")

    def take(self, count, timeout=PATIENCE_S, acknowledge=True):
        """Takes so many bytes of data in order, acknowledging all."""
        while len(self.stream) < count:
            packet = self.receive(timeout)
            if packet is None:
                raise Failed(f"{len(self.stream)} bytes came, and {count} should")
            segment = packet[TCP]
            data = bytes(segment.payload)
            # A packet shorter than Ethernet's least may be padded.
            if not self.v6:
                data = data[: packet.len - packet.ihl * 4 - segment.dataofs * 4]
            skip = (self.got - segment.seq) % MODULUS
            if data and skip < len(data):
                self.stream += data[skip:]
                self.got = (self.got + len(data) - skip) % MODULUS
            if self.timestamp is not None:
                self.echo = dict(segment.options).get("Timestamp", (0, 0))[0]
            if data and acknowledge:
                self.ack()
        taken, self.stream = self.stream[:count], self.stream[count:]
        return taken

    def absorb(self, seconds=0.1):
        """Takes all data that comes until nothing comes, in silence."""
        while (packet := self.receive(seconds)) is not None:
            if packet[TCP].seq == self.got:
                self.got = (self.got + len(packet[TCP].payload)) % MODULUS

    def quiet(self, seconds=SILENCE_S):
        """Forgets what comes until nothing comes. @returns how many segments"""
        count = 0
        while self.receive(seconds) is not None:
            count += 1
        return count

    # A connection

    def open(self, options=(), data=b"", flags="S", window=None):
        """The three-way handshake. @returns the SYN-ACK"""
        if any(option[0] == "Timestamp" for option in options):
            self.timestamp = dict(options)["Timestamp"][0]
        self.send(flags, options=options)
        answer = self.receive()
        if answer is None or {"S", "A"} - set(str(answer[TCP].flags)):
            raise Failed(f"no SYN-ACK but {answer and answer.summary()}")
        self.next = (self.next + 1) % MODULUS
        self.got = (answer[TCP].seq + 1) % MODULUS
        if self.timestamp is not None:
            self.echo = dict(answer[TCP].options).get("Timestamp", (0, 0))[0]
        if window is not None:
            self.window = window
        if data:
            self.say(data)
        else:
            self.ack()
        return answer

    def alive(self, text=b"are you there?"):
        """The connection to an echo service still works."""
        self.quiet(0.02)
        self.stream = b""
        self.say(text)
        got = self.take(len(text))
        if got != text:
            raise Failed(f"{got!r} came back for {text!r}")

    def dead(self):
        """The stack knows nothing of the connection: what it is sent is reset."""
        self.quiet(0.02)
        self.say(b"x")
        packet = self.receive()
        if packet is None or "R" not in str(packet[TCP].flags):
            raise Failed(f"the connection lives: {packet and packet.summary()}")

    def reset(self):
        self.send("RA")


def option(packet, name):
    """The value of a TCP option, or None."""
    return dict(packet[TCP].options).get(name)


def icmp_error(quoted, kind, code, word=0, source="10.77.1.1"):
    """An ICMP error about the start of a packet that the stack sent."""
    error = IP(src=source, dst=STACK4) / ICMP(type=kind, code=code, nexthopmtu=word)
    return error / Raw(bytes(quoted)[:28])


def cases():
    """A decorator that names a case, and the list that it fills."""
    collected = []

    def case(name, alone=False):
        """@param alone: it disturbs the others, so it runs when they are done"""

        def add(function):
            function.alone = alone
            collected.append((name, function))
            return function

        return add

    return case, collected
