"""FIN in every shape, TIME-WAIT and what comes after it. RFC 9293 §3.6 and 3.10.7.4, RFC 1337, RFC 6191."""
import time

from scapy.layers.inet import TCP

from raw_host import Failed, Host, cases, option

case, CASES = cases()
ECHO, DEAF, SOURCE, BYE = 7, 8, 19, 20
MODULUS = 1 << 32


def until_fin(host):
    """Takes all data and the FIN, acknowledging. @returns the segment with the FIN"""
    while True:
        packet = host.receive()
        if packet is None:
            raise Failed("no FIN came")
        segment = packet[TCP]
        size = len(segment.payload)
        if segment.seq == host.got:
            host.got = (host.got + size + ("F" in str(segment.flags))) % MODULUS
            if "F" in str(segment.flags):
                return packet
            if size:
                host.ack()


def in_time_wait(wire, **fields):
    """A connection that the stack ended first, both FINs acknowledged."""
    host = Host(wire, BYE, **fields)
    host.open([("MSS", 1_460), ("Timestamp", (1_000, 0))])
    until_fin(host)
    host.send("FA")
    host.next = (host.next + 1) % MODULUS
    host.expect("A", seq=host.got, ack=host.next)
    return host


@case("RFC 9293 §3.6: a FIN is acknowledged, and answered by one")
def fin(wire):
    host = Host(wire, ECHO)
    host.open()
    host.alive()
    host.send("FA")
    host.next = (host.next + 1) % MODULUS
    last = until_fin(host)
    if last[TCP].ack != host.next:
        raise Failed("the FIN is not acknowledged")
    host.ack()
    host.silence()


@case("a FIN with data: both count")
def fin_with_data(wire):
    host = Host(wire, ECHO)
    host.open()
    host.send("FPA", b"last words")
    host.next = (host.next + 11) % MODULUS
    got = b""
    while len(got) < 10:
        packet = host.receive()
        if packet is None:
            raise Failed(f"{got!r} came back")
        got += bytes(packet[TCP].payload)
        host.got = (packet[TCP].seq + len(packet[TCP].payload) + ("F" in str(packet[TCP].flags))) % MODULUS
    if got != b"last words" or packet[TCP].ack != host.next:
        raise Failed(f"{got!r} came back, {packet.summary()}")


@case("a FIN out of order waits for what is before it")
def fin_out_of_order(wire):
    host = Host(wire, ECHO)
    host.open()
    base = host.next
    host.send("FA", b"def", seq=base + 3)
    seen = host.expect("A", ack=base)
    host.send("PA", b"abc")
    host.next = (base + 7) % MODULUS
    if host.take(6) != b"abcdef":
        raise Failed(f"other data came back after {seen.summary()}")


@case("a FIN that comes again is acknowledged again")
def fin_again(wire):
    host = Host(wire, SOURCE)
    host.open(window=2_000)
    host.quiet(0.05)
    for _ in range(2):
        host.send("FA")
        host.until(lambda segment: segment.ack == (host.next + 1) % MODULUS, "the acknowledgment")
        host.quiet(0.05)
    host.reset()


@case("data behind the peer's FIN is not taken")
def data_after_fin(wire):
    host = Host(wire, ECHO)
    host.open()
    host.send("FA")
    host.send("PA", b"evil", seq=host.next + 1)
    host.next = (host.next + 1) % MODULUS
    packet = host.receive()
    while packet is not None:
        if len(packet[TCP].payload):
            raise Failed("it was echoed")
        packet = host.receive(0.2)


@case("RFC 9293 §3.6: after our FIN the stack still sends what it has")
def half_closed(wire):
    host = Host(wire, SOURCE)
    host.open()
    host.send("FA")
    host.next = (host.next + 1) % MODULUS
    if len(host.take(100_000)) != 100_000:
        raise Failed("it did not go on")
    host.reset()


@case("RFC 9293 fig. 13: FINs that cross")
def crossing(wire):
    host = Host(wire, BYE)
    host.open([("MSS", 1_460)])
    packet = host.receive()
    while packet is not None and "F" not in str(packet[TCP].flags):
        packet = host.receive()
    if packet is None:
        raise Failed("no FIN came")
    # Sent before its FIN was seen: it does not acknowledge it.
    host.got = packet[TCP].seq
    end = (packet[TCP].seq + len(packet[TCP].payload) + 1) % MODULUS
    host.send("FA", ack=packet[TCP].seq)
    host.next = (host.next + 1) % MODULUS
    host.expect("A", ack=host.next)
    host.got = end
    host.ack()
    host.silence()
    # In TIME-WAIT the FIN that comes again is acknowledged again.
    host.send("FA", seq=host.next - 1)
    host.expect("A", seq=end, ack=host.next)


@case("RFC 9293 §3.10.7.4: in TIME-WAIT a FIN that comes again is acknowledged")
def time_wait_fin(wire):
    host = in_time_wait(wire)
    host.send("FA", seq=host.next - 1)
    host.expect("A", seq=host.got, ack=host.next)


@case("RFC 1337: a RST does not end TIME-WAIT")
def time_wait_rst(wire):
    host = in_time_wait(wire)
    host.send("R")
    host.silence()
    host.send("FA", seq=host.next - 1)
    host.expect("A", seq=host.got, ack=host.next)


@case("RFC 1337: old data and old ACKs in TIME-WAIT are acknowledged at the most")
def time_wait_old(wire):
    host = in_time_wait(wire)
    host.send("PA", b"old", seq=host.next - 500)
    packet = host.receive(0.2)
    if packet is not None:
        host.check(packet, "A", seq=host.got, ack=host.next)
    host.send("A", ack=host.got - 5)
    packet = host.receive(0.2)
    if packet is not None:
        host.check(packet, "A", seq=host.got, ack=host.next)


@case("RFC 6191: a SYN with a later timestamp opens a connection out of TIME-WAIT")
def time_wait_syn(wire):
    host = in_time_wait(wire)
    host.timestamp = 50_000
    host.send("S", seq=host.next - 100_000, options=[("MSS", 1_460), ("Timestamp", (50_000, 0))])
    host.expect("SA", ack=host.next - 100_000 + 1)


@case("RFC 1122 §4.2.2.13: a SYN with a later sequence number does, too")
def time_wait_syn_sequence(wire):
    host = Host(wire, BYE)
    host.open([("MSS", 1_460)])
    until_fin(host)
    host.send("FA")
    host.next = (host.next + 1) % MODULUS
    host.expect("A", seq=host.got, ack=host.next)
    host.send("S", seq=host.next + 100_000)
    host.expect("SA", ack=host.next + 100_001)


@case("RFC 6191: an old SYN does not")
def time_wait_old_syn(wire):
    host = in_time_wait(wire)
    host.timestamp = 500
    host.send("S", seq=host.next - 100_000, options=[("MSS", 1_460), ("Timestamp", (500, 0))])
    packet = host.receive(0.3)
    if packet is not None:
        host.check(packet, "A", seq=host.got, ack=host.next)


@case("RFC 9293 §3.6: the stack's FIN is sent again until it is acknowledged")
def fin_sent_again(wire):
    host = Host(wire, BYE)
    host.open([("MSS", 1_460)])
    seen = 0
    while seen < 3:
        packet = host.receive(4)
        if packet is None:
            raise Failed(f"the FIN came {seen} times")
        if "F" in str(packet[TCP].flags):
            seen += 1
    host.reset()


@case("RFC 9293 §3.10.7.4: in LAST-ACK the ACK of the FIN ends it: what comes then is reset")
def last_ack(wire):
    host = Host(wire, ECHO)
    host.open()
    host.send("FA")
    host.next = (host.next + 1) % MODULUS
    until_fin(host)
    host.ack()
    host.dead()


@case("RFC 2525 §2.17: the stack's program closes with data unread: a reset")
def close_unread(wire):
    host = Host(wire, 21)
    host.open(data=b"nobody reads this")
    packet = host.receive()
    while packet is not None and "R" not in str(packet[TCP].flags):
        packet = host.receive()
    if packet is None:
        raise Failed("no RST came")
    if option(packet, "MSS") is not None:
        raise Failed("a RST with an MSS")


@case("RFC 9293 §3.10.7.4: data for a program that is gone is reset")
def data_for_nobody(wire):
    host = Host(wire, BYE)
    host.open()
    until_fin(host)
    host.ack()
    time.sleep(0.6)
    host.say(b"are you there?")
    packet = host.receive()
    while packet is not None and "R" not in str(packet[TCP].flags):
        packet = host.receive(0.5)
    if packet is None:
        raise Failed("no RST came")
