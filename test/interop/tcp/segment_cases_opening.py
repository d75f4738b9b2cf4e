"""CLOSED, LISTEN, SYN-SENT, SYN-RECEIVED: RFC 9293 §3.10.7.1 to 4, and what tries to get around them."""
import socket
import time

from scapy.layers.inet import TCP

from raw_host import HOST4, HOST6, PATIENCE_S, Failed, Host, cases, icmp_error, option, pseudo_sum

case, CASES = cases()
ECHO, NOBODY, DIAL = 7, 4_999, 5


# CLOSED

@case("RFC 9293 §3.10.7.1: a SYN to a port that nobody listens on is reset, sequence number 0")
def closed_syn(wire):
    host = Host(wire, NOBODY)
    host.send("S")
    host.expect("RA", seq=0, ack=host.next + 1)


@case("RFC 9293 §3.10.7.1: data without ACK for nobody is reset, and acknowledged with its length")
def closed_data(wire):
    host = Host(wire, NOBODY)
    host.send("", b"12345")
    host.expect("RA", seq=0, ack=host.next + 5)


@case("RFC 9293 §3.10.7.1: SYN, FIN and data count each in the reset's acknowledgment")
def closed_syn_fin(wire):
    host = Host(wire, NOBODY)
    host.send("SF", b"123")
    host.expect("RA", seq=0, ack=host.next + 5)


@case("RFC 9293 §3.10.7.1: an ACK for nobody is reset at the sequence number that it acknowledges")
def closed_ack(wire):
    host = Host(wire, NOBODY)
    host.send("A", ack=123_456)
    host.expect("R", seq=123_456)


@case("RFC 9293 §3.10.7.1: a RST for nobody gets no answer")
def closed_rst(wire):
    host = Host(wire, NOBODY)
    host.send("R")
    host.send("RA", ack=1)
    host.silence()


@case("RFC 9293 §3.10.7.1: the same over IPv6")
def closed_v6(wire):
    host = Host(wire, NOBODY, v6=True)
    host.send("S")
    host.expect("RA", seq=0, ack=host.next + 1)


# LISTEN

@case("RFC 9293 §3.10.7.2: an ACK for a listener is reset")
def listen_ack(wire):
    host = Host(wire, ECHO)
    host.send("A", ack=99)
    host.expect("R", seq=99)


@case("RFC 9293 §3.10.7.2: a SYN-ACK for a listener is reset")
def listen_syn_ack(wire):
    host = Host(wire, ECHO)
    host.send("SA", ack=77)
    host.expect("R", seq=77)


@case("RFC 9293 §3.10.7.2: a RST, a FIN, no flag at all, URG and PSH alone: a listener is silent")
def listen_silent(wire):
    host = Host(wire, ECHO)
    for flags in ("R", "F", "", "P", "U", "FPU", "SR", "FSRPAU"):
        host.send(flags)
        host.silence(0.05, flags)


@case("checklist 38: SYN with FIN makes no connection")
def listen_syn_fin(wire):
    host = Host(wire, ECHO)
    host.send("SF")
    host.silence()


@case("MUST-57: a SYN to a broadcast or multicast address gets no answer")
def not_unicast(wire):
    for destination in ("10.77.1.255", "255.255.255.255", "224.0.0.1", "239.1.2.3"):
        host = Host(wire, ECHO)
        host.send("S", ip={"dst": destination})
        host.silence(0.05, destination)
    host = Host(wire, ECHO, v6=True)
    host.send("S", ip={"dst": "ff02::1"})
    host.silence(0.05, "ff02::1")


@case("MUST-63: a SYN from a broadcast, multicast or loopback address does no harm")
def from_nowhere(wire):
    for source in ("10.77.1.255", "255.255.255.255", "224.0.0.1", "127.0.0.1", "0.0.0.0"):
        Host(wire, ECHO).send("S", ip={"src": source})
    Host(wire, ECHO).open()


@case("checklist 37: LAND, a SYN from the stack's own address and port, makes no loop")
def land(wire):
    host = Host(wire, ECHO, source=ECHO)
    for flags in ("S", "SA", "A", "PA"):
        host.send(flags, ip={"src": "10.77.1.2"})
    host.silence()
    Host(wire, ECHO).open()


@case("RFC 9293 §3.10.7.2: data that comes with the SYN is echoed once")
def data_on_syn(wire):
    host = Host(wire, ECHO)
    host.send("S", b"early")
    answer = host.expect("SA")
    host.next = (host.next + 1) % (1 << 32)
    host.got = (answer[TCP].seq + 1) % (1 << 32)
    # Whether it was kept, the acknowledgment says.
    if answer[TCP].ack == host.next:
        host.say(b"early")
    else:
        host.next = answer[TCP].ack
        host.ack()
    host.say(b" and late")
    if host.take(14) != b"early and late":
        raise Failed("other data came back")


@case("data with the handshake's last ACK is taken")
def data_on_ack(wire):
    host = Host(wire, ECHO)
    host.open(data=b"at once")
    if host.take(7) != b"at once":
        raise Failed("other data came back")


@case("the handshake's last ACK is lost: the data behind it opens the connection")
def ack_lost(wire):
    host = Host(wire, ECHO)
    host.send("S")
    answer = host.expect("SA")
    host.next, host.got = (host.next + 1) % (1 << 32), answer[TCP].seq + 1
    host.alive()


@case("a SYN from a port that bears 0 as number does no harm")
def port_zero(wire):
    Host(wire, ECHO, source=0).send("S")
    Host(wire, 0).send("S")
    Host(wire, ECHO).open()


# SYN-RECEIVED

@case("RFC 9293 §3.8.1: a SYN-ACK that is not answered is sent again, the same")
def syn_ack_again(wire):
    host = Host(wire, ECHO)
    host.send("S")
    first = host.expect("SA", ack=host.next + 1)
    host.expect("SA", "again", seq=first[TCP].seq, ack=host.next + 1)


@case("a SYN that comes again is answered by the same SYN-ACK")
def syn_again(wire):
    host = Host(wire, ECHO)
    host.send("S")
    first = host.expect("SA")
    host.send("S")
    host.expect("SA", seq=first[TCP].seq)


@case("RFC 9293 §3.10.7.4: in SYN-RECEIVED an ACK of what was not sent is reset, and the opening goes on")
def wrong_ack(wire):
    host = Host(wire, ECHO)
    host.send("S")
    answer = host.expect("SA")
    host.next = (host.next + 1) % (1 << 32)
    host.send("A", ack=answer[TCP].seq + 1_000)
    host.expect("R", seq=answer[TCP].seq + 1_000)
    host.got = (answer[TCP].seq + 1) % (1 << 32)
    host.ack()
    host.alive()


@case("RFC 9293 §3.10.7.4: in SYN-RECEIVED a RST ends the opening, and the listener goes on")
def rst_in_syn_received(wire):
    host = Host(wire, ECHO)
    host.send("S")
    answer = host.expect("SA")
    host.next += 1
    host.send("R")
    host.send("A", ack=answer[TCP].seq + 1)
    host.expect("R", seq=answer[TCP].seq + 1)
    Host(wire, ECHO).open()


@case("RFC 5961 §3: in SYN-RECEIVED a RST elsewhere in the window does not end the opening")
def blind_rst_in_syn_received(wire):
    host = Host(wire, ECHO)
    host.send("S")
    answer = host.expect("SA")
    host.next, host.got = (host.next + 1) % (1 << 32), (answer[TCP].seq + 1) % (1 << 32)
    host.send("R", seq=host.next + 2_000)
    host.quiet(0.05)
    host.ack()
    host.alive()


@case("RFC 9293 §3.10.7.4: in SYN-RECEIVED a FIN with the ACK opens, and ends")
def fin_in_syn_received(wire):
    host = Host(wire, ECHO)
    host.send("S")
    answer = host.expect("SA")
    host.next, host.got = (host.next + 1) % (1 << 32), (answer[TCP].seq + 1) % (1 << 32)
    host.send("FA")
    host.next = (host.next + 1) % (1 << 32)
    packet = host.receive()
    while packet is not None and "F" not in str(packet[TCP].flags):
        packet = host.receive()
    if packet is None or packet[TCP].ack != host.next:
        raise Failed("the FIN was not answered by a FIN")


@case("two thousand half-open connections: an honest one gets through", alone=True)
def many_half_open(wire):
    flood = Host(wire, ECHO)
    raw = bytearray(bytes(flood.packet("S")))
    for port in range(1_000, 3_000):
        raw[20:22] = port.to_bytes(2, "big")
        raw[36:38] = b"\0\0"
        raw[36:38] = pseudo_sum(flood.packet("S"), bytes(raw[20:])).to_bytes(2, "big")
        wire.send(raw)
    Host(wire, ECHO).open()


# SYN-SENT: the stack is told to connect to this host.

class Dialled(Host):
    """Accepts, on a port of this host, the connection that the stack was told to open."""

    def __init__(self, wire, v6=False):
        super().__init__(wire, 0, v6)
        self.control = socket.create_connection(("10.77.1.2", DIAL), 5)
        self.control.sendall(f"{HOST6 if v6 else HOST4} {self.own}\n".encode())
        self.syn = None
        self.syn = self.expect("S")
        self.port = self.syn[TCP].sport
        self.got = (self.syn[TCP].seq + 1) % (1 << 32)

    def receive(self, timeout=PATIENCE_S):
        """The SYN may come again meanwhile: that is not what a case waits for."""
        while (packet := super().receive(timeout)) is not None:
            if packet is not self.syn and packet[TCP].flags == "S" and self.syn is not None:
                continue
            return packet
        return None

    def establish(self, options=(), **fields):
        self.send("SA", options=options, **fields)
        self.next = (self.next + 1) % (1 << 32)
        return self.expect("A", ack=self.next, seq=self.got)

    def told(self):
        """What the stack's program was told in the end."""
        self.control.settimeout(4)
        return self.control.recv(100).decode().strip()


@case("SYN-SENT: the SYN carries MSS, SACK-permitted, window scale and timestamps, and no ECN that is not asked for")
def syn_options(wire):
    host = Dialled(wire)
    names = {each[0] for each in host.syn[TCP].options}
    if not {"MSS", "SAckOK", "Timestamp", "WScale"} <= names:
        raise Failed(f"the options are {host.syn[TCP].options}")
    if option(host.syn, "MSS") != 1_460:
        raise Failed(f"the MSS is {option(host.syn, 'MSS')}")
    host.establish()
    host.alive()


@case("SYN-SENT: the MSS of IPv6 is 1,440")
def syn_options_v6(wire):
    host = Dialled(wire, v6=True)
    if option(host.syn, "MSS") != 1_440:
        raise Failed(f"the MSS is {option(host.syn, 'MSS')}")
    host.establish()
    host.alive()


@case("RFC 9293 §3.10.7.3: in SYN-SENT a SYN-ACK of something else is reset, and the opening goes on")
def syn_sent_wrong_ack(wire):
    host = Dialled(wire)
    host.send("SA", ack=host.got + 5)
    host.expect("R", seq=host.got + 5)
    host.establish()
    host.alive()


@case("RFC 9293 §3.10.7.3: in SYN-SENT a RST with the right ACK is a refusal")
def syn_sent_refused(wire):
    host = Dialled(wire)
    host.send("RA", seq=0)
    if host.told() != "ECONNREFUSED":
        raise Failed("the program was told something else")


@case("RFC 9293 §3.10.7.3: in SYN-SENT a RST with a wrong ACK, or with none, does nothing")
def syn_sent_blind_rst(wire):
    host = Dialled(wire)
    host.send("RA", ack=host.got + 1)
    host.send("RA", ack=host.got - 1)
    host.send("R")
    host.silence()
    host.establish()
    host.alive()


@case("RFC 9293 §3.10.7.3: in SYN-SENT an ACK without SYN does nothing; a FIN neither")
def syn_sent_bare_ack(wire):
    host = Dialled(wire)
    host.send("A")
    host.send("F")
    host.send("FA")
    host.silence()
    host.establish()
    host.alive()


@case("MUST-10: a SYN in SYN-SENT is a simultaneous open")
def simultaneous_open(wire):
    host = Dialled(wire)
    host.send("S", ack=0)
    host.expect("SA", seq=host.got - 1, ack=host.next + 1)
    host.next = (host.next + 1) % (1 << 32)
    host.ack()
    host.alive()


@case("SYN-SENT: data that comes with the SYN-ACK is taken, then or when it comes again")
def data_on_syn_ack(wire):
    host = Dialled(wire)
    host.send("SA", b"hello")
    host.next = (host.next + 1) % (1 << 32)
    packet = host.receive()
    if packet is not None and packet[TCP].ack == host.next:
        host.say(b"hello")
    else:
        host.next = (host.next + 5) % (1 << 32)
    if host.take(5) != b"hello":
        raise Failed("other data came back")


@case("RFC 6298 §2: a SYN without an answer is sent again after a second")
def syn_sent_again(wire):
    host = Dialled(wire)
    start = time.monotonic()
    if Host.receive(host) is None:
        raise Failed("it did not come")
    if not 0.8 < time.monotonic() - start < 1.5:
        raise Failed(f"after {time.monotonic() - start:.3f} s")
    host.establish()
    host.alive()


@case("RFC 5927 §4: in SYN-SENT an ICMP error about another sequence number does nothing")
def syn_sent_forged_icmp(wire):
    host = Dialled(wire)
    forged = host.syn.copy()
    forged[TCP].seq = (forged[TCP].seq + 10_000) % (1 << 32)
    wire.send(icmp_error(forged, 3, 3))
    host.silence()
    host.establish()
    host.alive()


@case("RFC 5461: in SYN-SENT a port unreachable ends the opening")
def syn_sent_unreachable(wire):
    host = Dialled(wire)
    wire.send(icmp_error(host.syn, 3, 3))
    if host.told() != "ECONNREFUSED":
        raise Failed("the program was told something else")


