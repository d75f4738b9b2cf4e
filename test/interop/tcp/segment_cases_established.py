"""ESTABLISHED: acceptability, blind attacks, reassembly, windows, retransmission. RFC 9293 §3.10.7.4, 5961, 7323, 2018, 6298."""
import time

from scapy.layers.inet import TCP

from raw_host import Failed, Host, PATIENCE_S, cases, icmp_error, option

case, CASES = cases()
ECHO, DEAF, SOURCE = 7, 8, 19
MODULUS = 1 << 32
ALL = [("MSS", 1_460), ("SAckOK", b""), ("Timestamp", (1_000, 0)), ("NOP", None), ("WScale", 7)]


def opened(wire, port=ECHO, options=(), **fields):
    host = Host(wire, port)
    host.open(options, **fields)
    return host


# Blind attacks

@case("RFC 5961 §3.2: a RST exactly at RCV.NXT ends the connection")
def rst_exact(wire):
    host = opened(wire)
    host.send("R")
    host.dead()


@case("RFC 5961 §3.2: a RST elsewhere in the window is challenged")
def rst_in_window(wire):
    host = opened(wire)
    host.send("R", seq=host.next + 100)
    host.expect("A", seq=host.got, ack=host.next)
    host.alive()


@case("RFC 5961 §3.2: a RST outside the window is dropped in silence")
def rst_outside(wire):
    host = opened(wire)
    host.send("R", seq=host.next - 1)
    host.send("R", seq=host.next + 100_000_000)
    host.silence()
    host.alive()


@case("RFC 5961 §4.2: a SYN is challenged, whatever its number")
def syn_challenged(wire):
    for offset in (0, 50, -50, 1 << 30):
        host = opened(wire)
        host.send("S", seq=host.next + offset)
        host.expect("A", f"offset {offset}", seq=host.got, ack=host.next)
        host.alive()


@case("RFC 5961 §4.2: a SYN-ACK is challenged")
def syn_ack_challenged(wire):
    host = opened(wire)
    host.send("SA", seq=host.next + 5)
    host.expect("A", seq=host.got, ack=host.next)
    host.alive()


@case("RFC 5961 §5.2: an ACK of what was not sent yet is answered by an ACK, its data is not taken")
def ack_beyond(wire):
    host = opened(wire)
    host.send("PA", b"evil", ack=host.got + 1_000)
    host.expect("A", ack=host.next)
    host.alive()


@case("RFC 5961 §5.2: data with an ACK older than the largest window is not taken")
def ack_too_old(wire):
    host = opened(wire)
    host.send("PA", b"evil", ack=host.got - 200_000)
    host.quiet()
    host.alive()


@case("RFC 5961 §7: challenge ACKs are limited for a connection")
def challenge_limit(wire):
    host = opened(wire)
    host.many("S", b"", [host.next + i for i in range(200)])
    count = host.quiet()
    if not 0 < count <= 20:
        raise Failed(f"{count} challenge ACKs for 200 SYNs")
    host.alive()


@case("RFC 9293 §3.10.7.4: data without ACK is dropped in silence")
def no_ack(wire):
    host = opened(wire)
    host.send("P", b"evil")
    host.silence()
    host.alive()


@case("all flags, no flag, SYN with FIN, SYN with RST: the connection stays")
def odd_flags(wire):
    host = opened(wire)
    for flags in ("FSPAU", "", "SF", "FPU", "SFA"):
        host.send(flags, seq=host.next + 1_000)
        host.quiet(0.03)
    host.alive()


@case("RFC 5927 §5: ICMP hard errors do not end an established connection")
def hard_errors(wire):
    host = opened(wire, SOURCE, window=3_000)
    packet = host.receive()
    for code in (0, 1, 2, 3, 9, 10, 13):
        wire.send(icmp_error(packet, 3, code))
    host.quiet(0.05)
    host.got = (packet[TCP].seq + 1) % MODULUS
    host.ack()
    if not host.receive():
        raise Failed("the connection is gone")
    host.reset()


@case("RFC 5927 §7.2: a forged path MTU of 68 does not make segments tiny; one about data not in flight does nothing")
def forged_mtu(wire):
    host = opened(wire, SOURCE, [("MSS", 1_460)])
    host.window = 65_535
    packet = host.receive()
    old = packet.copy()
    old[TCP].seq = (old[TCP].seq - 100_000) % MODULUS
    wire.send(icmp_error(old, 3, 4, 600))
    size = len(packet[TCP].payload)
    host.quiet(0.02)
    host.got = packet[TCP].seq
    host.ack()
    later = host.receive()
    while later is not None and len(later[TCP].payload) == 0:
        later = host.receive()
    if later is None or len(later[TCP].payload) < size:
        raise Failed(f"{later and len(later[TCP].payload)} bytes in a segment, {size} before")
    wire.send(icmp_error(packet, 3, 4, 68))
    sizes = []
    while len(sizes) < 12 and (later := host.receive(1)) is not None:
        sizes.append(len(later[TCP].payload))
    # What was sent before may be cut, so that a rest is small.
    if max(sizes, default=0) < 500:
        raise Failed(f"{sizes} bytes in segments")
    host.reset()


# Receiving

@case("RFC 9293 §3.10.7.4: an old segment is acknowledged at once, and not taken again")
def old_segment(wire):
    host = opened(wire)
    host.alive(b"abc")
    host.quiet(0.1)
    host.send("PA", b"abc", seq=host.next - 3)
    host.expect("A", ack=host.next)
    host.alive()


@case("RFC 9293 §3.10.7.4: a segment beyond the window is acknowledged, and not taken")
def beyond_window(wire):
    host = opened(wire)
    host.send("PA", b"evil", seq=host.next + 50_000_000)
    host.expect("A", ack=host.next)
    host.alive()


@case("RFC 9293 §3.4: the part of a segment that is new is taken")
def part_new(wire):
    host = opened(wire)
    host.alive(b"abcdef")
    host.send("PA", b"defghi", seq=host.next - 3)
    host.next = (host.next + 3) % MODULUS
    if host.take(3) != b"ghi":
        raise Failed("other data came back")


@case("RFC 2018 §4: what comes out of order is told by SACK, the newest block first")
def sack_blocks(wire):
    host = opened(wire, options=ALL)
    base = host.next
    host.send("PA", b"22", seq=base + 2)
    seen = host.expect("A", ack=base)
    if option(seen, "SAck") != ((base + 2) % MODULUS, (base + 4) % MODULUS):
        raise Failed(f"SACK says {option(seen, 'SAck')}")
    host.send("PA", b"44", seq=base + 6)
    seen = host.expect("A", ack=base)
    want = tuple((base + each) % MODULUS for each in (6, 8, 2, 4))
    if option(seen, "SAck") != want:
        raise Failed(f"SACK says {option(seen, 'SAck')}, not {want}")
    host.send("PA", b"11", seq=base)
    host.send("PA", b"33", seq=base + 4)
    host.next = (base + 8) % MODULUS
    if host.take(8) != b"11223344":
        raise Failed("other data came back")


@case("RFC 2883 §4: data that comes twice is told by D-SACK")
def dsack(wire):
    host = opened(wire, options=ALL)
    host.alive(b"abcd")
    host.quiet(0.1)
    host.send("PA", b"abcd", seq=host.next - 4)
    seen = host.expect("A", ack=host.next)
    want = ((host.next - 4) % MODULUS, host.next)
    if option(seen, "SAck") != want:
        raise Failed(f"SACK says {option(seen, 'SAck')}, not {want}")


@case("RFC 5681 §4.2: a segment out of order is acknowledged at once, and the one that fills the gap, too")
def acks_at_once(wire):
    host = opened(wire, DEAF)
    start = time.monotonic()
    host.send("PA", b"x" * 100, seq=host.next + 100)
    host.expect("A", ack=host.next)
    host.send("PA", b"y" * 100)
    host.expect("A", ack=host.next + 200)
    if time.monotonic() - start > 0.5:
        raise Failed("it took its time")


@case("segments that overlap in every way make one stream")
def overlaps(wire):
    data = bytes(i % 251 for i in range(4_000))
    for pieces in (
        [(1_000, 2_000), (500, 1_500), (2_500, 3_500), (1_900, 2_600), (0, 600), (3_400, 4_000)],
        [(3_000, 4_000), (2_000, 3_000), (1_000, 2_000), (0, 1_000)],
        [(i, i + 1_300) for i in range(0, 2_700, 130)][::-1] + [(2_700, 4_000)],
        [(100, 1_500), (2_800, 4_000), (1_450, 2_850), (0, 1_400)],
    ):
        host = opened(wire, options=ALL)
        base = host.next
        for start, end in pieces:
            host.send("PA", data[start:end], seq=base + start)
        host.next = (base + 4_000) % MODULUS
        if host.take(4_000) != data:
            raise Failed(f"{pieces[:3]}: other data came back")


@case("checklist 47: two thousand gaps of one byte cost little, and the stream goes on")
def many_gaps(wire):
    host = opened(wire, options=ALL)
    base, start = host.next, time.monotonic()
    host.many("A", b"x", [base + 1 + 2 * i for i in range(2_000)])
    host.quiet(0.1)
    for at in (0, 1_000, 2_000, 3_000):
        host.send("PA", b"y" * 1_000, seq=base + at)
    host.next = (base + 4_000) % MODULUS
    if len(host.take(4_000)) != 4_000:
        raise Failed("the stream is broken")
    if time.monotonic() - start > 8:
        raise Failed(f"it took {time.monotonic() - start:.1f} s")


@case("RFC 7323 §5.3: PAWS drops an old timestamp, and acknowledges")
def paws(wire):
    host = opened(wire, options=ALL)
    host.timestamp = 2_000
    host.alive()
    host.quiet(0.1)
    host.timestamp = 1_500
    host.send("PA", b"evil")
    host.expect("A", ack=host.next)
    host.timestamp = 2_001
    host.alive()


@case("RFC 7323 §5.2: PAWS does not keep a RST away")
def paws_rst(wire):
    host = opened(wire, options=ALL)
    host.timestamp = 2_000
    host.alive()
    host.timestamp = 1
    host.send("R")
    host.timestamp = 2_001
    host.dead()


@case("RFC 7323 §4.3: the timestamp that is echoed is that of the first segment not acknowledged yet")
def ts_echo(wire):
    host = opened(wire, options=ALL)
    host.timestamp = 3_000
    host.say(b"one")
    seen = host.receive()
    if option(seen, "Timestamp")[1] != 3_000:
        raise Failed(f"{option(seen, 'Timestamp')[1]} is echoed")


@case("RFC 6093, checklist 38: URG with a pointer of 0, of 1, past the segment, and without data")
def urgent(wire):
    host = opened(wire)
    host.say(b"ab", flags="PAU", urgptr=0)
    host.say(b"cd", flags="PAU", urgptr=1)
    host.say(b"ef", flags="PAU", urgptr=65_535)
    host.send("AU", urgptr=3)
    host.send("AU", urgptr=65_535, seq=host.next - 1)
    if host.take(6) != b"abcdef":
        raise Failed("other data came back")
    host.alive()


@case("keep-alive probes, with and without a byte, are acknowledged")
def keep_alive(wire):
    host = opened(wire)
    host.alive(b"abc")
    host.quiet(0.1)
    for data in (b"", b"c"):
        host.send("A", data, seq=host.next - 1)
        host.expect("A", ack=host.next)


@case("checklist 46: SACK blocks that are reversed, outside, old or absurd do nothing")
def odd_sacks(wire):
    host = opened(wire, SOURCE, ALL)
    packet = host.receive()
    base = packet[TCP].seq
    odd = [
        (base + 10, base + 5),
        (base - 5_000, base - 10),
        (base + 10_000_000, base + 20_000_000),
        (base, base),
        (base - 10, base + 10),
        (base + 1, base),
    ]
    for left, right in odd:
        host.send("A", options=[("SAck", (left % MODULUS, right % MODULUS))])
    host.send("A", options=[("SAck", tuple(each % MODULUS for pair in odd[:4] for each in pair))][:1])
    host.quiet(0.02)
    host.got = base
    data = host.take(50_000)
    if len(data) != 50_000:
        raise Failed("the stream is broken")
    host.reset()


# Sending

@case("RFC 6298 §5: what is not acknowledged is sent again, each time after twice the time")
def retransmission(wire):
    host = opened(wire)
    host.say(b"x")
    times, first = [], None
    while len(times) < 4:
        packet = host.receive(4)
        if packet is None:
            raise Failed(f"only {len(times)} came")
        if not len(packet[TCP].payload):
            continue
        first = packet[TCP].seq if first is None else first
        if packet[TCP].seq != first:
            raise Failed("something else came")
        times.append(time.monotonic())
    gaps = [later - earlier for earlier, later in zip(times, times[1:])]
    # The first may be a tail loss probe (RFC 8985 §7).
    if not 1.5 < gaps[2] / gaps[1] < 2.6:
        raise Failed(f"after {gaps}")
    host.got = (first + 1) % MODULUS
    host.ack()
    host.alive()


@case("RFC 5681 §3.2, RFC 6675: a hole in what is acknowledged is filled at once")
def fast_retransmit(wire):
    host = opened(wire, SOURCE, ALL)
    packets = [host.receive() for _ in range(6)]
    if None in packets:
        raise Failed("the initial window is too small")
    host.timestamp = 1_001
    host.echo = option(packets[0], "Timestamp")[0]
    base = packets[0][TCP].seq
    host.got = base
    for packet in packets[1:]:
        end = packet[TCP].seq + len(packet[TCP].payload)
        host.send("A", options=[("NOP", None), ("NOP", None), ("SAck", (packets[1][TCP].seq, end % MODULUS))])
    start = time.monotonic()
    while True:
        packet = host.receive()
        if packet is None:
            raise Failed("it was not sent again")
        if packet[TCP].seq == base:
            break
    if time.monotonic() - start > 0.15:
        raise Failed(f"after {time.monotonic() - start:.3f} s, that is a timeout")
    host.reset()


@case("RFC 6928: at most ten segments before the first acknowledgment")
def initial_window(wire):
    host = opened(wire, SOURCE, [("MSS", 1_000)])
    count, packet = 0, host.receive()
    while packet is not None:
        count += len(packet[TCP].payload)
        packet = host.receive(0.1)
    if not 3_000 <= count <= 10_000 + 1_000:  # a tail loss probe may add one
        raise Failed(f"{count} bytes")
    host.reset()


@case("RFC 9293 §3.8.6.1: a closed window is probed, and opened again")
def zero_window(wire):
    host = opened(wire, SOURCE, [("MSS", 1_000)], window=2_000)
    host.absorb()
    host.window = 0
    host.ack()
    probes, start = [], time.monotonic()
    while len(probes) < 3:
        packet = host.receive(3)
        if packet is None:
            raise Failed(f"only {len(probes)} probes came")
        if len(packet[TCP].payload) > 1:
            raise Failed(f"{len(packet[TCP].payload)} bytes were sent into a closed window")
        probes.append(time.monotonic() - start)
        host.ack()
    if not probes[0] < 1.5 or not probes[2] - probes[1] > 1.4 * (probes[1] - probes[0]):
        raise Failed(f"probes after {probes}")
    host.window = 10_000
    host.ack()
    if len(host.take(20_000)) != 20_000:
        raise Failed("it did not go on")
    host.reset()


@case("MUST-34: a window that is taken back does no harm")
def shrunk_window(wire):
    host = opened(wire, SOURCE, [("MSS", 1_000)], window=8_000)
    host.quiet(0.05)
    host.window = 500
    host.ack()
    host.quiet(0.3)
    host.window = 30_000
    host.stream, host.got = b"", host.got
    host.ack()
    if len(host.take(30_000)) != 30_000:
        raise Failed("it did not go on")
    host.reset()


@case("MUST-66: at a closed window of the stack's a RST is heard, and an ACK is worked with")
def rst_at_zero_window(wire):
    host = opened(wire, DEAF, [("MSS", 1_460)])
    window = 65_535
    for _ in range(4_000):
        if window < 1:
            break
        host.say(b"x" * min(1_400, window))
        packet = host.receive(0.3)
        while packet is not None and packet[TCP].ack != host.next:
            packet = host.receive(0.3)
        if packet is not None:
            window = packet[TCP].window
    if window > 0:
        raise Failed(f"the window stays at {window}")
    # A probe is not taken, and is answered.
    host.send("A", b"y")
    host.expect("A", ack=host.next, window=0)
    host.send("R")
    host.dead()


@case("checklist 48: acknowledgments of ten bytes do not open the congestion window")
def ack_division(wire):
    host = opened(wire, SOURCE, [("MSS", 1_000)])
    sent, packet = 0, host.receive()
    first = packet[TCP].seq
    while packet is not None:
        sent += len(packet[TCP].payload)
        packet = host.receive(0.03)
    for i in range(10, 1_001, 10):
        host.got = (first + i) % MODULUS
        host.ack()
    more, packet = 0, host.receive()
    while packet is not None:
        if (packet[TCP].seq - first) % MODULUS >= sent:
            more += len(packet[TCP].payload)
        packet = host.receive(0.03)
    if more > 4_000:
        raise Failed(f"{more} bytes for 1,000 acknowledged")
    host.reset()


@case("checklist 48: duplicate acknowledgments out of nothing do not open it either")
def dupack_spoofing(wire):
    host = opened(wire, SOURCE, [("MSS", 1_000)])
    packet = host.receive()
    first = packet[TCP].seq
    host.quiet(0.03)
    host.got = first
    host.many("A", b"", [host.next] * 300)
    sent, packet = 0, host.receive()
    while packet is not None:
        sent += len(packet[TCP].payload)
        packet = host.receive(0.03)
    if sent > 100_000:
        raise Failed(f"{sent} bytes for 300 duplicates")
    host.reset()
