"""Options and headers, right and wrong: RFC 9293 §3.1 and 3.2, RFC 7323, RFC 2018, RFC 3168, checklist 28 and 29."""
from scapy.layers.inet import TCP, fragment
from scapy.packet import Raw

from raw_host import Failed, Host, cases, option, pseudo_sum

case, CASES = cases()
ECHO, SOURCE = 7, 19


def raw_options(host, data, flags="S"):
    """A segment with option bytes as they are, padded to whole words."""
    data += bytes(-len(data) % 4)
    packet = host.packet(flags)
    tcp = bytearray(bytes(packet[TCP])[:20]) + data
    tcp[12] = (20 + len(data)) // 4 << 4
    tcp[16:18] = b"\0\0"
    tcp[16:18] = pseudo_sum(packet, bytes(tcp)).to_bytes(2, "big")
    head = packet.copy()
    head.remove_payload()
    head.proto = 6
    return head / Raw(bytes(tcp))


def opens_with(wire, data):
    """A SYN with such options opens a connection that works. @returns the SYN-ACK"""
    host = Host(wire, ECHO)
    wire.send(raw_options(host, data))
    answer = host.expect("SA")
    host.next, host.got = (host.next + 1) % (1 << 32), (answer[TCP].seq + 1) % (1 << 32)
    host.ack()
    host.alive()
    return answer


@case("RFC 9293 §3.7.1, RFC 7323 §1.3: the SYN-ACK offers only what the SYN offered, and always an MSS")
def offered_only(wire):
    answer = Host(wire, ECHO).open()
    if [each[0] for each in answer[TCP].options if each[0] != "NOP"] != ["MSS"]:
        raise Failed(f"the options are {answer[TCP].options}")


@case("the SYN-ACK takes up window scale, SACK and timestamps")
def offered_all(wire):
    host = Host(wire, ECHO)
    answer = host.open([("MSS", 1_460), ("SAckOK", b""), ("Timestamp", (1_000, 0)), ("NOP", None), ("WScale", 7)])
    names = {each[0] for each in answer[TCP].options}
    if not {"MSS", "SAckOK", "Timestamp", "WScale"} <= names:
        raise Failed(f"the options are {answer[TCP].options}")
    if option(answer, "Timestamp")[1] != 1_000:
        raise Failed("the timestamp is not echoed")
    host.alive()


@case("MUST-5, MUST-6: options that nobody knows are skipped, an MSS behind them is read")
def unknown_options(wire):
    opens_with(wire, bytes([253, 6, 1, 2, 3, 4, 77, 2, 2, 4, 2, 0]))


@case("MUST-64: an option at an odd place is read")
def unaligned_options(wire):
    host = Host(wire, SOURCE)
    wire.send(raw_options(host, bytes([1, 2, 4, 1, 0, 1, 1, 0])))
    answer = host.expect("SA")
    host.next, host.got = (host.next + 1) % (1 << 32), (answer[TCP].seq + 1) % (1 << 32)
    host.ack()
    packet = host.receive()
    if packet is None or not 0 < len(packet[TCP].payload) <= 256:
        raise Failed(f"an MSS of 256 bytes was announced: {packet and packet.summary()}")
    host.reset()


@case("MUST-7: an option of length 0, of length 1, past the end of the header: no harm")
def bad_lengths(wire):
    for data in ([2, 0, 0, 0], [2, 1, 0, 0], [2, 40, 1, 1], [8, 10, 0, 0], [1, 1, 1, 2], [3, 255, 1, 1], [5, 2, 4, 2]):
        opens_with(wire, bytes(data))


@case("forty bytes of NOP, and of END")
def only_padding(wire):
    opens_with(wire, bytes([1] * 40))
    opens_with(wire, bytes(40))


@case("checklist 29: an MSS of 0, of 1 and of 65,535")
def odd_mss(wire):
    for size in (0, 1, 65_535):
        host = Host(wire, ECHO)
        host.open([("MSS", size)])
        host.alive(b"x" * 300)
        host.reset()


@case("checklist 46: SACK with an MSS of 1 makes segments of no less than 48 - 40 bytes")
def tiny_mss(wire):
    host = Host(wire, SOURCE)
    host.open([("MSS", 1), ("SAckOK", b"")])
    packet = host.receive()
    if packet is None or len(packet[TCP].payload) < 8:
        raise Failed(f"{packet and len(packet[TCP].payload)} bytes in a segment")
    host.reset()


@case("RFC 7323 §2.3: a window scale of 255 counts as 14")
def wide_scale(wire):
    host = Host(wire, SOURCE)
    host.open([("MSS", 1_460), ("NOP", None), ("WScale", 255)], window=1)
    # 1 << 14 bytes may come; 1 << 255 modulo 32 would be no window at all.
    if len(host.take(8_000)) != 8_000:
        raise Failed("the window was not used")
    host.reset()


@case("RFC 7323 §2.2: the window of a SYN is not scaled")
def unscaled_syn(wire):
    host = Host(wire, SOURCE)
    host.window = 2_000
    host.send("S", options=[("MSS", 1_460), ("NOP", None), ("WScale", 10)])
    answer = host.expect("SA")
    if answer[TCP].window == 0:
        raise Failed("the window is 0")
    host.next, host.got = (host.next + 1) % (1 << 32), (answer[TCP].seq + 1) % (1 << 32)
    host.window = 4
    host.ack()
    if len(host.take(4_000)) != 4_000:
        raise Failed("the window was not used")
    host.reset()


@case("RFC 7323 §1.3, RFC 2018 §2: scale and SACK-permitted outside a SYN do nothing")
def options_outside_syn(wire):
    host = Host(wire, ECHO)
    host.open()
    wire.send(raw_options(host, bytes([3, 3, 14, 4, 2, 2, 4, 0, 1]), "A"))
    host.alive()


@case("two timestamps in a segment do no harm")
def two_timestamps(wire):
    host = Host(wire, ECHO)
    host.open([("Timestamp", (5_000, 0))])
    wire.send(raw_options(host, bytes([8, 10, 0, 0, 0x13, 0x89, 0, 0, 0, 0] * 2), "A"))
    host.timestamp = 5_002
    host.alive()


@case("RFC 7323 §3.2: a segment without the timestamp that was agreed on does no harm")
def no_timestamp(wire):
    host = Host(wire, ECHO)
    host.open([("Timestamp", (5_000, 0))])
    host.timestamp = None
    host.send("A")
    host.timestamp = 5_001
    host.alive()


@case("MUST-3: a wrong checksum is dropped in silence")
def wrong_checksum(wire):
    host = Host(wire, ECHO)
    host.send("S", chksum=0x1234)
    host.silence()
    host.open()
    host.send("PA", b"wrong", chksum=0x4321)
    host.silence()
    host.alive()


@case("checklist 28: a data offset below 5, or beyond the segment, is dropped in silence")
def wrong_offset(wire):
    host = Host(wire, ECHO)
    for words in (0, 4, 15):
        host.send("S", dataofs=words)
        host.silence(0.05, f"offset {words}")
    host.open()
    host.alive()


@case("a segment shorter than a header is dropped in silence")
def short_segment(wire):
    host = Host(wire, ECHO)
    for length in (0, 1, 4, 19):
        packet = host.packet("S")
        raw = bytes(packet[TCP])[:length]
        packet.remove_payload()
        packet.proto = 6
        wire.send(packet / Raw(raw))
    host.silence()
    host.open()


@case("RFC 9293 §3.1: reserved bits are ignored")
def reserved_bits(wire):
    host = Host(wire, ECHO)
    host.send("S", reserved=7)
    answer = host.expect("SA")
    host.next, host.got = (host.next + 1) % (1 << 32), (answer[TCP].seq + 1) % (1 << 32)
    host.say(b"hello", reserved=5)
    if host.take(5) != b"hello":
        raise Failed("other data came back")


@case("a segment in IP fragments is put together")
def in_fragments(wire):
    host = Host(wire, ECHO)
    host.open()
    packet = host.packet("PA", b"abcdefgh" * 100, ip={"flags": 0, "id": 4_711})
    for piece in fragment(packet, fragsize=200):
        wire.send(piece)
    host.next = (host.next + 800) % (1 << 32)
    if host.take(800) != b"abcdefgh" * 100:
        raise Failed("other data came back")


# ECN

@case("RFC 3168 §6.1.1: a SYN that asks for ECN is answered by ECE alone, and is not marked itself")
def ecn_agreed(wire):
    host = Host(wire, ECHO)
    host.send("SEC", options=[("MSS", 1_460)])
    answer = host.expect("SAE")
    if answer.tos & 3:
        raise Failed("the SYN-ACK says that it is ECN-capable")


@case("RFC 9768 §3.1.2: a SYN that asks for AccECN is answered as by whoever knows only the classic kind")
def accurate_ecn(wire):
    host = Host(wire, ECHO)
    host.send("SECN", options=[("MSS", 1_460), (174, b"\0" * 9), ("NOP", None)])
    answer = host.expect("SAE")
    host.next, host.got = (host.next + 1) % (1 << 32), (answer[TCP].seq + 1) % (1 << 32)
    host.ack()
    host.alive()


@case("RFC 3168 §6.1.1: a SYN with only one of the two flags asks for nothing")
def ecn_half_asked(wire):
    for flags in ("SE", "SC"):
        host = Host(wire, ECHO)
        host.send(flags)
        host.expect("SA")


@case("RFC 3168 §6.1.3: CE is told by ECE until CWR comes")
def ecn_echo(wire):
    host = Host(wire, ECHO)
    answer = host.open(flags="SEC")
    if "E" not in str(answer[TCP].flags):
        raise Failed("no ECN was agreed on")
    host.say(b"a", ip={"tos": 3})
    seen = host.receive()
    if seen is None or "E" not in str(seen[TCP].flags):
        raise Failed("CE is not told")
    host.quiet(0.05)
    host.say(b"b", ip={"tos": 2})
    seen = host.receive()
    if seen is None or "E" not in str(seen[TCP].flags):
        raise Failed("CE is told only once")
    host.quiet(0.05)
    host.say(b"c", flags="PAC", ip={"tos": 2})
    seen = host.receive()
    if seen is None or "E" in str(seen[TCP].flags):
        raise Failed("CE is told although CWR came")


@case("RFC 3168 §6.1.2: ECE is answered by CWR on new data, which is marked as ECN-capable")
def ecn_reaction(wire):
    host = Host(wire, SOURCE)
    answer = host.open([("MSS", 1_000)], flags="SEC")
    if "E" not in str(answer[TCP].flags):
        raise Failed("no ECN was agreed on")
    first = host.receive()
    if first is None or first.tos & 3 != 2:
        raise Failed("data is not marked ECT(0)")
    host.got = (first[TCP].seq + len(first[TCP].payload)) % (1 << 32)
    host.send("AE")
    for _ in range(200):
        packet = host.receive()
        if packet is None:
            break
        if "C" in str(packet[TCP].flags):
            return host.reset()
        if len(packet[TCP].payload):
            host.got = (packet[TCP].seq + len(packet[TCP].payload)) % (1 << 32)
        host.send("AE")
    raise Failed("no CWR came")
